"""Share links, for visitors and in the admin pages."""

import re
from datetime import date

import pytest
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from imagehub.domain.library import trash
from imagehub.domain.people import passwords
from imagehub.domain.sharing import links
from imagehub.models import Group, ShareLink
from tests.admin.pages import follow, send
from tests.fixtures.site import Site, read_csrf_token
from tests.gallery.test_pages import count_statements


def make_share(site: Site, groups: list[int], **options: object) -> str:
    """The address of a new link."""
    with site.session() as session:
        _, token = links.create_share(session, None, groups, **options)  # type: ignore[arg-type]
    return f"/s/{token}"


@pytest.fixture
def draft(site: Site) -> int:
    number = site.add_group(["front.jpg", "back.jpg"], state="draft")
    with site.session() as session:
        session.get_one(Group, number).title = "Not yet for everybody"
    return number


def read_address(page: TestResponse) -> str:
    """The path of the link that the admin's page shows this once."""
    return page.text.split('id="made-url" value="http://localhost', 1)[1].split('"', 1)[0]


def unlock(client: FlaskClient, path: str, password: str) -> int:
    token = read_csrf_token(client, path)
    answer = client.post(path, data={"csrf_token": token, "password": password})
    return answer.status_code


def test_a_price_for_share_links_is_shown_there_only(site: Site, draft: int) -> None:
    with site.session() as session:
        group = session.get_one(Group, draft)
        group.price, group.currency, group.price_shown = "4800", "USD", "share"
        group.state, group.is_shown = "published", True
    path = make_share(site, [draft])
    assert "US$4,800" in site.get(path).text
    assert "US$4,800" in site.get(f"{path}/{draft}").text
    assert "4,800" not in site.get(site.get(f"/groups/{draft}").location).text


def test_a_link_costs_the_same_few_queries_however_many_works_it_has(site: Site) -> None:
    works = [site.add_group(names=("a.jpg", "b.jpg")) for _ in range(9)]
    few, many = (
        min(count_statements(site, path) for _ in range(3))
        for path in (make_share(site, works[:2]), make_share(site, works))
    )
    assert few == many


def test_whoever_has_the_address_sees_the_drafts_and_nothing_leaks(site: Site, draft: int) -> None:
    path = make_share(site, [draft])
    answer = site.get(path)
    assert answer.status_code == 200
    assert "Not yet for everybody" in answer.text
    assert site.find_key(draft, 1, 960) in answer.text
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert '<meta name="robots" content="noindex, nofollow, noarchive">' in answer.text
    assert site.get(f"/groups/{draft}").status_code == 404
    assert "/full/" not in answer.text
    for wrong in ("/s/x", path[:-1], path + "x"):
        assert site.get(wrong).status_code == 404


@pytest.mark.parametrize("way", ["revoked", "over"])
def test_an_ended_link_says_so_and_offers_nothing_else(site: Site, draft: int, way: str) -> None:
    path = make_share(site, [draft], title="For the museum", password="open sesame")
    with site.session() as session:
        share = session.get_one(ShareLink, 1)
        if way == "revoked":
            links.revoke_share(session, 1)
        else:
            share.expires_at = share.created_at
    for one in (path, f"{path}/{draft}", f"{path}/{draft}/1", f"{path}/full/{draft}/1"):
        answer = site.get(one)
        assert answer.status_code == 410
        assert "This link is no longer valid" in answer.text
        assert "ask the person who sent you the link" in answer.text
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
        assert answer.headers["Cache-Control"] == "private, no-store"
        body = answer.text.split("<body", 1)[1]
        assert re.findall(r'<a [^>]*href="([^"]*)"', body) == ["#main"]
        assert not re.search(r"<form|<nav|<img|For the museum|Not yet for everybody", body)
    german = site.get(path, headers={"Accept-Language": "de"})
    assert "Dieser Link ist nicht mehr gültig" in german.text


def test_a_link_that_never_was_or_was_replaced_says_that_it_does_not_work(
    site: Site, draft: int
) -> None:
    path = make_share(site, [draft])
    with site.session() as session:
        links.renew_share(session, 1)
    for one in (path, "/s/nothing", "/s/nothing/1/1"):
        answer = site.get(one)
        assert answer.status_code == 404
        assert "This link does not work" in answer.text
        assert re.findall(r'<a [^>]*href="([^"]*)"', answer.text) == ["#main"]


def test_a_shared_work_has_its_whole_label_and_a_page_for_each_shot(site: Site, draft: int) -> None:
    with site.session() as session:
        group = session.get_one(Group, draft)
        group.medium, group.dimensions, group.availability = "Oil", "3 × 4 m", "reserved"
    path = make_share(site, [draft], title="For the museum")
    listed = site.get(path).text
    assert f'href="{path}/{draft}/2" data-shot="2"' in listed
    for page in (listed, site.get(f"{path}/{draft}").text, site.get(f"{path}/{draft}/2").text):
        record = page.split('class="record">', 1)[1].split("</p>", 1)[0]
        lines = ["Oil", "3 × 4 m", "Reserved"]
        assert re.findall(r"<span[^>]*>([^<]*)<", record) == lines
        # Drafts are in no gallery: what the page leads to is below the link's own address.
        assert not re.search(r'(href|src)="/(groups|media)/', page)
    shot = site.get(f"{path}/{draft}/2")
    assert 'data-chosen="2"' in shot.text
    assert "For the museum</span></a>" in shot.text
    assert shot.headers["Cache-Control"] == "private, no-store"
    assert shot.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert shot.headers["Referrer-Policy"] == "no-referrer"


def test_pages_and_pictures_of_a_link_are_its_own(site: Site, draft: int) -> None:
    other = site.add_group(state="draft")
    path = make_share(site, [draft], password="open sesame")
    client = site.client()
    assert client.get(f"{path}/{draft}/1").location == path
    assert client.get(f"{path}/media/{draft}/1/960").status_code == 404
    unlock(client, path, "open sesame")
    picture = client.get(f"{path}/media/{draft}/1/960")
    assert picture.status_code == 302
    assert site.find_key(draft, 1, 960) in picture.location
    assert client.get(f"{path}/{draft}").status_code == 200
    for wrong in (
        f"{path}/{draft}/9",
        f"{path}/{other}",
        f"{path}/{other}/1",
        f"{path}/media/{other}/1/960",
        f"{path}/media/{draft}/1/961",
        f"{path}/media/{draft}/9/960",
    ):
        answer = client.get(wrong)
        assert answer.status_code == 404, wrong
        # The link itself does work.
        assert "This link does not work" not in answer.text, wrong


def test_only_a_link_with_downloads_zooms_into_originals(site: Site, draft: int) -> None:
    with site.session() as session:
        for image in session.get_one(Group, draft).images:
            image.mime_type = "image/jpeg"
    pattern = r'data-size="([^"]+)" data-zoom="([^"]*)" data-full="([^"]*)"'
    closed = site.signed_in_client().get(make_share(site, [draft])).text
    assert re.findall(pattern, closed)[0] == ("1920 1280 1920 1280", "", "")
    path = make_share(site, [draft], may_download=True)
    full = f"{path}/full/{draft}/1"
    assert re.findall(pattern, site.get(path).text)[0] == ("1920 1280 6000 4000", full, full)


def test_a_password_stands_before_everything(site: Site, draft: int) -> None:
    path = make_share(site, [draft], password="open sesame", may_download=True)
    client = site.client()
    closed = client.get(path)
    assert "Not yet for everybody" not in closed.text
    assert 'type="password"' in closed.text
    assert client.get(f"{path}/full/{draft}/1").status_code == 302
    assert unlock(client, path, "wrong") == 401
    assert "Not yet for everybody" not in client.get(path).text
    assert unlock(client, path, "open sesame") == 303
    assert "Not yet for everybody" in client.get(path).text
    assert "Not yet for everybody" not in site.get(path).text
    with site.session() as session:
        share = session.get_one(ShareLink, 1)
        share.password_hash = share.password_hash[:-1] + "x"
    assert "Not yet for everybody" not in client.get(path).text


@pytest.mark.usefixtures("long_waits")
def test_guessing_a_password_has_to_wait(site: Site, draft: int) -> None:
    path = make_share(site, [draft], password="open sesame")
    client = site.client()
    statuses = [unlock(client, path, f"guess {n}") for n in range(12)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert unlock(client, path, "open sesame") == 429


def test_a_form_without_its_token_unlocks_nothing(site: Site, draft: int) -> None:
    path = make_share(site, [draft], password="open sesame")
    assert site.post(path, data={"password": "open sesame"}).status_code == 400


def test_only_shared_groups_are_downloaded_and_only_where_allowed(site: Site, draft: int) -> None:
    other = site.add_group(state="draft")
    closed = make_share(site, [draft])
    assert site.get(f"{closed}/full/{draft}/1").status_code == 404
    path = make_share(site, [draft], may_download=True)
    assert f"{path}/full/{draft}/1" in site.get(path).text
    assert site.get(f"{path}/full/{other}/1").status_code == 404
    assert site.get(f"{path}/full/{draft}/9").status_code == 404


def test_what_is_in_the_trash_is_shown_by_no_link(site: Site, draft: int) -> None:
    path = make_share(site, [draft], may_download=True)
    with site.session() as session:
        trash.trash_groups(session, [draft], None)
    page = site.get(path)
    assert page.status_code == 200
    assert "back.jpg" not in page.text
    assert f"g{draft}s1" not in page.text
    assert site.get(f"{path}/full/{draft}/1").status_code == 404


def test_a_browser_counts_once(site: Site, draft: int) -> None:
    path = make_share(site, [draft])
    client = site.client()
    client.head(path)
    client.get(path)
    client.get(path)
    site.get(path)
    with site.session() as session:
        assert session.get_one(ShareLink, 1).view_count == 2


def test_several_works_do_not_bear_the_title_of_the_first(site: Site, draft: int) -> None:
    other = site.add_group(["z.jpg"])

    def read_heads(path: str) -> tuple[str, list[str]]:
        page = site.get(path).text
        title = re.search(r"<title>([^<·]*)", page)
        assert title is not None
        return title[1].strip(), re.findall(r"<h[12][^>]*>([^<]*)</h", page)

    name, untitled = "Not yet for everybody", "Untitled"
    both = [draft, other]
    shared = "Shared with you"
    assert read_heads(make_share(site, both)) == (shared, [shared, name, untitled])
    mine = make_share(site, both, title="Mine")
    assert read_heads(mine) == ("Mine", ["Mine", name, untitled])
    same = make_share(site, both, title=name)
    assert read_heads(same) == (name, [name, name, untitled])
    assert read_heads(make_share(site, [draft])) == (name, [name])
    assert read_heads(make_share(site, [other]))[0] == shared


def test_a_link_to_one_work_follows_its_title(site: Site, draft: int) -> None:
    client = site.signed_in_client()
    form = f"/admin/shares/new?group={draft}"
    assert 'value="Not yet for everybody"' in client.get(form).text
    fields = {"group": str(draft), "title": "Not yet for everybody"}
    path = read_address(follow(client, send(client, "/admin/shares", form, **fields)))
    with site.session() as session:
        session.get_one(Group, draft).title = "At dusk"
    assert re.findall(r"<h[12][^>]*>([^<]*)</h", site.get(path).text) == ["At dusk"]
    assert "“At dusk”" in client.get("/admin/shares").text


# --- The admin's side -----------------------------------------------------------------------------


def test_a_link_to_a_work_without_a_title_has_a_name_too(site: Site) -> None:
    number = site.add_group(["a.jpg"])
    client = site.signed_in_client()
    form = f"/admin/shares/new?group={number}"
    made = follow(client, send(client, "/admin/shares", form, group=str(number)))
    assert f"The link to “Untitled {number}”" in made.text
    assert f"Replace the link “Untitled {number}”?" in made.text
    send(client, "/admin/shares/1/revoke", "/admin/shares")
    log = client.get("/admin/activity").text
    assert f"Created the share link “Untitled {number}”." in log
    assert f"Revoked the share link “Untitled {number}”." in log


def test_a_link_is_made_shown_once_and_ended(site: Site, draft: int) -> None:
    client = site.signed_in_client()
    form = f"/admin/shares/new?group={draft}"
    answer = send(
        client,
        "/admin/shares",
        form,
        group=str(draft),
        title="For the museum",
        last_day="2999-12-31",
        password="open sesame",
        may_download="1",
    )
    path = read_address(follow(client, answer))
    assert unlock(site.client(), path, "open sesame") == 303
    listed = client.get("/admin/shares").text
    assert "For the museum" in listed
    assert "31 December 2999" in listed
    assert path not in listed
    answer = send(client, "/admin/shares/1/renew", "/admin/shares")
    fresh = read_address(follow(client, answer))
    assert site.get(path).status_code == 404
    assert site.get(fresh).status_code == 200
    send(client, "/admin/shares/1/revoke", "/admin/shares")
    assert site.get(fresh).status_code == 410
    log = client.get("/admin/activity").text
    assert "Revoked the share link “For the museum”." in log
    assert path not in log


def test_a_reload_makes_no_second_link_and_shows_the_address_no_more(
    site: Site, draft: int
) -> None:
    client = site.signed_in_client()
    answer = send(client, "/admin/shares", f"/admin/shares/new?group={draft}", group=str(draft))
    made = follow(client, answer)
    path = read_address(made)
    word = path.rsplit("/", 1)[1]
    # On its way to the page the address is in none of what others may come to see.
    assert word not in answer.text + str(answer.headers)
    for page in (answer, made):
        assert "no-store" in page.headers["Cache-Control"]
    reloaded = client.get(answer.location).text
    assert word not in reloaded
    assert "made-url" not in reloaded
    assert "/admin/shares/1/revoke" in reloaded
    with site.session() as session:
        assert session.query(ShareLink).count() == 1


def test_a_form_with_a_fault_keeps_what_was_typed(site: Site, draft: int) -> None:
    client = site.signed_in_client()
    form = f"/admin/shares/new?group={draft}"
    for day in (date(2020, 1, 1).isoformat(), "soon"):
        answer = send(client, "/admin/shares", form, group=str(draft), title="Mine", last_day=day)
        assert answer.status_code == 422
        assert 'value="Mine"' in answer.text
        assert 'aria-invalid="true"' in answer.text
    assert send(client, "/admin/shares", form).status_code == 422
    assert "No groups selected" in client.get("/admin/shares/new").text


def test_revoking_is_taken_back_by_undo(site: Site, draft: int) -> None:
    path = make_share(site, [draft])
    client = site.signed_in_client()
    page = follow(client, send(client, "/admin/shares/1/revoke", "/admin/shares")).text
    assert "The link “Not yet for everybody” was revoked." in page
    assert site.get(path).status_code == 410
    undo = page.split('id="toasts"', 1)[1].split("</form>", 1)[0]
    assert 'action="/admin/shares/reopen"' in undo
    assert '<input type="hidden" name="number" value="1">' in undo
    follow(client, send(client, "/admin/shares/reopen", "/admin/shares", number="1"))
    assert site.get(path).status_code == 200
    log = client.get("/admin/activity").text
    assert "Restored the share link “Not yet for everybody”." in log
    assert send(client, "/admin/shares/reopen", "/admin/shares", number="9").status_code == 404


def test_a_refused_form_with_a_password_makes_no_open_link(site: Site, draft: int) -> None:
    client = site.signed_in_client()
    form = f"/admin/shares/new?group={draft}"
    fields = {"group": str(draft), "title": "Mine"}

    def make(**more: str) -> TestResponse:
        return send(client, "/admin/shares", form, **fields, **more)

    assert "without_password" not in client.get(form).text
    refused = make(last_day="2020-01-01", password="open sesame")
    assert refused.status_code == 422
    assert "open sesame" not in refused.text
    assert "This date is in the past." in refused.text
    assert "Enter the password again." in refused.text
    assert 'name="wants_password" value="1"' in refused.text
    again = make(last_day="2999-12-31", wants_password="1")
    assert again.status_code == 422
    assert "Enter the password again." in again.text
    assert 'name="wants_password" value="1"' in again.text
    with site.session() as session:
        assert session.query(ShareLink).count() == 0
    path = read_address(follow(client, make(wants_password="1", password="open sesame")))
    assert "Not yet for everybody" not in site.get(path).text
    path = read_address(follow(client, make(wants_password="1", without_password="1")))
    assert "Not yet for everybody" in site.get(path).text


def test_a_password_is_made_when_it_is_asked_for(site: Site, draft: int) -> None:
    client = site.signed_in_client()
    form = f"/admin/shares/new?group={draft}"
    fields = {"group": str(draft), "title": "For the museum", "last_day": "2999-12-31"}

    def make() -> tuple[str, str]:
        answer = send(client, "/admin/shares/new/password", form, **fields, may_download="1")
        assert answer.status_code == 200
        assert "no-store" in answer.headers["Cache-Control"]
        found = re.search(r'name="password"[^>]* value="([^"]+)"', answer.text)
        assert found is not None
        return found.group(1), answer.text

    password, page = make()
    assert re.fullmatch("[0-9a-z]{4}(-[0-9a-z]{4}){3}", password)
    assert make()[0] != password
    for kept in ('value="For the museum"', 'value="2999-12-31"'):
        assert kept in page
    assert re.search('<input[^>]* name="may_download"[^>]* checked', page)
    assert "wants_password" not in page
    with site.session() as session:
        assert session.query(ShareLink).count() == 0
    shown = follow(client, send(client, "/admin/shares", form, **fields, password=password))
    path = read_address(shown)
    assert password in shown.text, "to be copied together with the link"
    assert password not in client.get("/admin/shares").text
    assert unlock(site.client(), path, password) == 303


def test_a_short_password_is_refused_at_its_field(site: Site, draft: int) -> None:
    client = site.signed_in_client()
    form = f"/admin/shares/new?group={draft}"
    answer = send(client, "/admin/shares", form, group=str(draft), password="kiwi")
    assert answer.status_code == 422
    assert "A password must have at least 8 characters." in answer.text
    assert "kiwi" not in answer.text
    with site.session() as session:
        assert session.query(ShareLink).count() == 0


def test_an_older_hash_is_made_again_when_its_link_is_opened(site: Site, draft: int) -> None:
    """Also of a password that would be too short today."""
    path = make_share(site, [draft], password="open sesame")
    older = generate_password_hash("kiwi", f"scrypt:{passwords.SCRYPT_N // 4}:8:1")
    with site.session() as session:
        session.get_one(ShareLink, 1).password_hash = older
    client = site.client()
    assert unlock(client, path, "kiwi") == 303
    assert "Not yet for everybody" in client.get(path).text
    with site.session() as session:
        fresh = session.get_one(ShareLink, 1).password_hash
    assert fresh.startswith(f"scrypt:{passwords.SCRYPT_N}:8:1$")
    assert unlock(site.client(), path, "kiwi") == 303
    assert "Not yet for everybody" in client.get(path).text


def test_while_many_passwords_are_checked_a_link_says_so(
    site: Site, draft: int, all_places_taken: None
) -> None:
    with site.session() as session:
        _, token = links.create_share(session, None, [draft])
        session.get_one(ShareLink, 1).password_hash = generate_password_hash("open sesame")
    client, path = site.client(), f"/s/{token}"
    csrf = read_csrf_token(client, path)
    answer = client.post(path, data={"csrf_token": csrf, "password": "open sesame"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
    assert "Many passwords are being checked." in answer.text


def test_the_last_day_ends_by_the_clock_that_the_form_tells(site: Site, draft: int) -> None:
    client = site.signed_in_client()
    form = f"/admin/shares/new?group={draft}"
    assert "at midnight<span data-utc> UTC</span>" in client.get(form).text
    for number, (minutes, end) in enumerate(
        (
            ("480", "1 January 3000, 07:59 UTC"),
            ("-840", "31 December 2999, 09:59 UTC"),
            ("841", "31 December 2999, 23:59 UTC"),
            ("soon", "31 December 2999, 23:59 UTC"),
        ),
        start=1,
    ):
        fields = {"group": str(draft), "last_day": "2999-12-31", "minutes_behind_utc": minutes}
        follow(client, send(client, "/admin/shares", form, **fields))
        row = client.get("/admin/shares").text.split("<tr data-state=", 2)[1]
        assert f"/admin/shares/{number}/revoke" in row
        assert end in row.split("</tr>", 1)[0], minutes


def test_too_many_works_are_refused_with_a_word(site: Site, draft: int) -> None:
    client = site.signed_in_client()
    groups = [str(draft), *(str(draft + more) for more in range(1, 201))]
    answer = send(client, "/admin/shares", f"/admin/shares/new?group={draft}", group=groups)
    assert answer.status_code == 422
    assert "A link can show at most 200 groups." in answer.text


def test_a_long_selection_is_folded_and_shared_whole(site: Site) -> None:
    client = site.signed_in_client()
    groups = [str(site.add_group(["a.jpg"])) for _ in range(9)]
    form = "/admin/shares/new?" + "&".join(f"group={number}" for number in groups)
    shown, folded = client.get(form).text.split("<summary>4 more</summary>")
    pattern = r'name="group" value="(\d+)"'
    assert re.findall(pattern, shown) == groups[:5]
    assert re.findall(pattern, folded.split("</details>", 1)[0]) == groups[5:]
