"""The page about the look, its preview, and taking a look back."""

import re
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from imagehub.domain.library.series_edit import create_series, set_series_state
from imagehub.domain.site import pages
from imagehub.wiring import refresh_settings
from tests.admin.pages import follow, read_toasts, send
from tests.fixtures.site import Site, make_site
from tests.fixtures.visitor import Page

PAGE = "/admin/look"


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


def read_choice(html: str, name: str) -> str:
    (chosen,) = re.findall(rf'name="{name}" value="([^"]*)"[^>]* checked', html)
    return str(chosen)


def test_a_saved_look_is_seen_at_once_and_taken_back(site: Site, client: FlaskClient) -> None:
    site.add_group()
    assert "is-rows" not in site.get("/").text
    assert 'action="/admin/look/undo"' not in client.get(PAGE).text
    page = follow(client, send(client, PAGE, PAGE, layout="rows", was_layout="wall")).text
    assert read_choice(page, "layout") == "rows"
    assert "is-rows" in site.get("/").text
    follow(client, send(client, f"{PAGE}/undo", PAGE))
    assert "is-rows" not in site.get("/").text
    # Once more is the look that was taken back.
    follow(client, send(client, f"{PAGE}/undo", PAGE))
    assert "is-rows" in site.get("/").text
    log = client.get("/admin/activity").text
    assert log.count("Changed settings: Layout of the front page.") == 3


def test_the_toast_leads_to_the_gallery_and_back(site: Site, client: FlaskClient) -> None:
    send(client, PAGE, PAGE, layout="one", was_layout="wall")
    toast = read_toasts(client, PAGE)
    assert 'href="/"' in toast and 'action="/admin/look/undo"' in toast


def test_a_preview_changes_nothing_for_visitors(site: Site, client: FlaskClient) -> None:
    for _ in range(13):
        site.add_group()
    before = site.get("/").text
    answer = send(client, f"{PAGE}/preview", PAGE, layout="rows", was_layout="wall")
    assert answer.location == "/admin/look/preview?layout=rows"
    preview = client.get(answer.location)
    assert "frame-src" in preview.headers["Content-Security-Policy"]
    (address,) = re.findall(r'<iframe src="([^"]+)"', preview.text)
    front = client.get(address, follow_redirects=True)
    assert 'class="wall is-rows"' in front.text
    assert front.headers["X-Robots-Tag"] == "noindex"
    assert front.headers["Cache-Control"] == "private, no-store"
    assert front.headers["X-Frame-Options"] == "SAMEORIGIN"
    # Further pages have that look, too.
    (more,) = re.findall(r'class="more" href="([^"]+)"', front.text)
    assert more == "/preview/layout=rows/?page=2"
    assert 'class="wall is-rows"' in client.get(more).text
    assert site.get("/").text == before
    assert site.get("/").headers["X-Frame-Options"] == "DENY"
    # What is chosen comes along to the page and is marked as not saved.
    page = client.get("/admin/look?layout=rows").text
    assert read_choice(page, "layout") == "rows" and "data-unsaved" in page
    assert "data-unsaved" not in client.get(PAGE).text


TRIED = "/preview/layout=rows,typefaces=eb-garamond,logo=7"
# Files and admin pages, and what ends with files.
KEEPS_NO_LOOK = ("/admin/", "/assets/", "/manifest.webmanifest", "/media/full/", "data:")


def test_all_public_pages_keep_a_look_that_is_tried_out(site: Site, client: FlaskClient) -> None:
    for _ in range(13):
        site.add_group(["a.jpg", "b.jpg"])
    with site.session() as session:
        series = create_series(session, "Coast", [1, 2])
        set_series_state(session, series.id, "published")
        page = pages.create_page(
            session, "about", "About", "[One](/groups/1), [x](https://x.example)."
        )
        pages.set_state(session, page.id, "published")
    seen: set[str] = set()
    queue = [f"{TRIED}/", f"{TRIED}/search?q=about"]
    while queue and len(seen) < 60:
        path = queue.pop(0)
        seen.add(path)
        answer = client.get(path)
        assert answer.status_code in (200, 302, 303, 308, 404), path
        assert answer.headers["Cache-Control"] == "private, no-store", path
        assert answer.headers["X-Robots-Tag"] == "noindex"
        if answer.location:
            assert answer.location.startswith(f"{TRIED}/"), path
        if answer.mimetype != "text/html" or answer.status_code != 200:
            continue
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN", path
        assert 'data-type="eb-garamond"' in answer.text, path
        found = Page(answer.text, "http://localhost")
        for link in found.links:
            if link.startswith(KEEPS_NO_LOOK) or re.search("/media/|/preferences|[.]zip$", link):
                continue
            assert link.startswith((f"{TRIED}/", "#", "?", "http")), (path, link)
            target = link.partition("#")[0]
            if target.startswith("/") and target not in seen | set(queue):
                queue.append(target)
    kinds = {path.removeprefix(TRIED).split("/")[1].partition("?")[0] for path in seen}
    assert {"", "groups", "series", "pages", "search"} <= kinds


def test_a_filtered_page_keeps_the_look(site: Site, client: FlaskClient) -> None:
    site.add_group()
    page = client.get(f"{TRIED}/?shape=landscape").text
    assert 'class="wall is-rows"' in page
    assert f'href="{TRIED}/?shape=' in page or f'href="{TRIED}/"' in page
    assert not re.search(r'href="/(?!preview/|assets/|manifest|admin/)', page)


def test_visitors_never_see_a_look_that_is_tried_out(site: Site, client: FlaskClient) -> None:
    number = site.add_group()
    shown = client.get(f"{TRIED}/groups/{number}", follow_redirects=True).text
    assert 'data-type="eb-garamond"' in shown
    # What is shared, indexed and installed is the real page.
    assert '<link rel="canonical" href="http://localhost/groups/1' in shown
    assert '<link rel="manifest" href="/manifest.webmanifest"' in shown
    for path in ("/", f"/groups/{number}", "/image/page?page=1", "/assets/x/css/site.css", "/x"):
        answer = site.get(TRIED + path)
        assert answer.status_code == 302, path
        assert answer.location == f"/sign-in?next={quote(TRIED + path, safe='/?,')}"
    assert site.post(f"{TRIED}/contact").status_code in (400, 403)
    page = site.get(f"/groups/{number}", follow_redirects=True).text
    assert 'data-type="fraunces"' in page and "/preview/" not in page


def test_admin_pages_are_not_part_of_a_preview(client: FlaskClient) -> None:
    for path in ("/admin/look?layout=rows", "/sign-in"):
        answer = client.get(TRIED + path)
        assert (answer.status_code, answer.location) == (302, path)
        assert answer.headers["X-Frame-Options" if "look" in path else "Cache-Control"]


@pytest.mark.parametrize("look", ["layout=spiral", "x=1", "saved", "a", "=", "logo=-1,,=,layout"])
def test_a_preview_of_nothing_sensible_shows_the_saved_look(
    site: Site, client: FlaskClient, look: str
) -> None:
    site.add_group()
    assert "is-rows" not in client.get(f"/preview/{look}/").text


@pytest.mark.parametrize("look", ["..", "%2e%2e", "<b>", "layout%3Drows%2F..", "a b", "//evil"])
def test_other_addresses_below_it_are_unknown(client: FlaskClient, look: str) -> None:
    assert client.get(f"/preview/{look}/").status_code in (308, 404)


@pytest.mark.parametrize("path", ["/admin/look", "/admin/look/preview", "/preview"])
def test_only_admins_see_it(site: Site, path: str) -> None:
    answer = site.get(f"{path}?layout=rows")
    assert answer.status_code == 302 and answer.location.startswith("/sign-in")


def test_a_choice_that_cannot_be_used_is_refused(site: Site, client: FlaskClient) -> None:
    answer = send(client, PAGE, PAGE, layout="spiral", was_layout="wall")
    assert answer.status_code == 303
    assert "is-fault" in read_toasts(client, PAGE)
    assert read_choice(client.get(f"{PAGE}?layout=spiral").text, "layout") == "wall"
    assert client.get("/preview?layout=spiral").location == "/preview/layout=wall/"


def test_a_change_of_another_admin_is_noticed(site: Site, client: FlaskClient) -> None:
    send(client, PAGE, PAGE, layout="one", was_layout="wall")
    send(client, PAGE, PAGE, layout="rows", was_layout="wall")
    assert "is-fault" in read_toasts(client, PAGE)
    assert read_choice(client.get(PAGE).text, "layout") == "one"


def test_the_environment_wins(tmp_path: object) -> None:
    site = make_site(tmp_path, layout="one")  # type: ignore[arg-type]
    site.add_group()
    client = site.signed_in_client()
    assert "IMAGEHUB_LAYOUT" in client.get(PAGE).text
    send(client, PAGE, PAGE, layout="rows")
    with site.app.app_context():
        refresh_settings(older_than_seconds=0)
    assert "is-one" in site.get("/").text
    assert "is-one" in client.get("/preview/layout=rows/").text


def test_a_featured_work_is_chosen_from_the_library(site: Site, client: FlaskClient) -> None:
    number = site.add_group()
    draft = site.add_group(state="draft")
    answer = send(client, f"{PAGE}/work", PAGE, layout="rows", was_layout="wall")
    assert answer.location == "/admin/look/work?layout=rows"
    works = client.get(answer.location).text
    address = f"/admin/look?featured_work={number}&amp;layout=rows#featured"
    assert address in works and f"featured_work={draft}&amp;" in works
    page = client.get(f"/admin/look?featured_work={number}&layout=rows").text
    assert read_choice(page, "featured_work") == str(number)
    assert read_choice(page, "layout") == "rows"
    # Nothing is saved yet.
    assert "<article" not in site.get("/").text
    assert "<article" in client.get(f"/preview/featured_work={number}/").text
    send(client, PAGE, PAGE, featured_work=str(number), was_featured_work="0")
    assert "<article" in site.get("/").text
    send(client, PAGE, PAGE, featured_work="0", was_featured_work=str(number))
    assert "<article" not in site.get("/").text


@pytest.mark.parametrize("number", ["-1", "x", "99999999999999999999", "1.5"])
def test_a_featured_work_that_cannot_be_is_refused(client: FlaskClient, number: str) -> None:
    send(client, PAGE, PAGE, featured_work=number, was_featured_work="0")
    assert "is-fault" in read_toasts(client, PAGE)
    assert client.get(f"{PAGE}?featured_work={number}").status_code == 200
