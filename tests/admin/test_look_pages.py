"""The page about the look, its preview, and taking a look back."""

import re

import pytest
from flask.testing import FlaskClient

from imagehub.wiring import refresh_settings
from tests.admin.pages import follow, read_toasts, send
from tests.fixtures.site import Site, make_site

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
    front = client.get(address)
    assert 'class="wall is-rows"' in front.text and 'content="noindex"' in front.text
    assert front.headers["Cache-Control"] == "private, no-store"
    assert front.headers["X-Frame-Options"] == "SAMEORIGIN"
    # Further pages have that look, too.
    (more,) = re.findall(r'class="more" href="([^"]+)"', front.text)
    assert "layout=rows" in more
    assert 'class="wall is-rows"' in client.get(more.replace("&amp;", "&")).text
    assert site.get("/").text == before
    assert site.get("/").headers["X-Frame-Options"] == "DENY"
    # What is chosen comes along to the page and is marked as not saved.
    page = client.get("/admin/look?layout=rows").text
    assert read_choice(page, "layout") == "rows" and "data-unsaved" in page
    assert "data-unsaved" not in client.get(PAGE).text


@pytest.mark.parametrize("path", ["/admin/look", "/admin/look/preview", "/preview"])
def test_only_admins_see_it(site: Site, path: str) -> None:
    answer = site.get(f"{path}?layout=rows")
    assert answer.status_code == 302 and answer.location.startswith("/sign-in")


def test_a_choice_that_cannot_be_used_is_refused(site: Site, client: FlaskClient) -> None:
    answer = send(client, PAGE, PAGE, layout="spiral", was_layout="wall")
    assert answer.status_code == 303
    assert "is-fault" in read_toasts(client, PAGE)
    assert read_choice(client.get(f"{PAGE}?layout=spiral").text, "layout") == "wall"
    assert client.get("/preview?layout=spiral").status_code == 200


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
    assert "is-one" in client.get("/preview?layout=rows").text


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
    assert "<article" in client.get(f"/preview?featured_work={number}").text
    send(client, PAGE, PAGE, featured_work=str(number), was_featured_work="0")
    assert "<article" in site.get("/").text
    send(client, PAGE, PAGE, featured_work="0", was_featured_work=str(number))
    assert "<article" not in site.get("/").text


@pytest.mark.parametrize("number", ["-1", "x", "99999999999999999999", "1.5"])
def test_a_featured_work_that_cannot_be_is_refused(client: FlaskClient, number: str) -> None:
    send(client, PAGE, PAGE, featured_work=number, was_featured_work="0")
    assert "is-fault" in read_toasts(client, PAGE)
    assert client.get(f"{PAGE}?featured_work={number}").status_code == 200
