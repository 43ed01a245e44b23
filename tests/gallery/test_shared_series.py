"""Share links to a series, for visitors and in the admin pages."""

import re

from imagehub.domain.library import series_edit, series_trash, trash
from imagehub.domain.library.series_members import add_members, place_member, remove_member
from imagehub.domain.sharing import links
from imagehub.models import Group
from tests.admin.pages import follow, send
from tests.fixtures.database import count_statements
from tests.fixtures.site import Site
from tests.gallery.test_series import add_series
from tests.gallery.test_shared import read_address, unlock


def make_share(site: Site, series: int, **options: object) -> str:
    with site.session() as session:
        _, token = links.create_share(session, None, [], series_id=series, **options)  # type: ignore[arg-type]
    return f"/s/{token}"


def add_draft(site: Site, title: str) -> int:
    number = site.add_group(["front.jpg", "back.jpg"], state="draft")
    with site.session() as session:
        session.get_one(Group, number).title = title
    return number


def list_works(page: str) -> list[str]:
    return re.findall(r'class="caption-title" dir="auto">([^<]*)<', page)


def test_a_link_shows_a_draft_series_with_its_parts_and_works(site: Site) -> None:
    works = [add_draft(site, f"Work {number}") for number in range(4)]
    facts = {"state": "draft", "dates": "March 2026", "place": "Bremen", "text": "One room."}
    series = add_series(site, "Sea", works[2], works[0], **facts)
    part = add_series(site, "Prints", works[3], works[1], parent_id=series, state="draft")
    empty = add_series(site, "Empty room", parent_id=series)
    path = make_share(site, series)
    answer = site.get(path)
    page = answer.text
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    for words in ('<h1 dir="auto">Sea</h1>', "March 2026", "Bremen", "One room.", "Prints"):
        assert words in page
    assert "Empty room" not in page
    assert list_works(page) == ["Work 2", "Work 0"]
    assert site.find_key(works[2], 1, 960) in page
    assert site.find_key(works[3], 1, 960) in page, "the part's cover"
    # Nothing leads to addresses that visitors do not have.
    assert not re.search(r'(href|src)="/(groups|media|series)/', page)
    of_part = site.get(f"{path}/series/{part}").text
    assert list_works(of_part) == ["Work 3", "Work 1"]
    assert f'<a href="{path}" dir="auto">' in of_part
    assert f'href="{path}/{works[3]}?series={part}"' in of_part
    assert site.get(f"{path}/series/{empty}").status_code == 200
    for wrong in (f"{path}/series/{part + 9}", f"{path}/series/{10**18}", f"{path}/999"):
        assert site.get(wrong).status_code == 404
    assert site.get(f"/series/{series}").status_code == 404
    # A link to the part shows nothing of the rest.
    of_it = make_share(site, part)
    assert list_works(site.get(of_it).text) == ["Work 3", "Work 1"]
    assert site.get(f"{of_it}/{works[0]}").status_code == 404
    assert site.get(f"{of_it}/series/{series}").status_code == 404


def test_works_of_a_shared_series_lead_to_each_other_and_back(site: Site) -> None:
    works = [add_draft(site, f"Work {number}") for number in range(3)]
    series = add_series(site, "Sea", works[1], works[0], works[2], state="draft")
    part = add_series(site, "Prints", works[0], works[2], parent_id=series)
    path = make_share(site, series, may_download=True)
    page = site.get(f"{path}/{works[0]}").text
    beside = re.findall(r'rel="(prev|next)" href="([^"]+)"', page)
    assert beside == [("prev", f"{path}/{works[1]}"), ("next", f"{path}/{works[2]}")]
    assert f'class="back"><a href="{path}">' in page
    assert f"{path}/full/{works[0]}/1" in page
    assert not re.search(r'(href|src)="/(groups|media|series)/', page)
    page = site.get(f"{path}/{works[0]}?series={part}").text
    assert re.findall(r'rel="(prev|next)" href="([^"]+)"', page) == [
        ("next", f"{path}/{works[2]}?series={part}")
    ]
    assert f'class="back"><a href="{path}/series/{part}">' in page
    for address in (f"{path}/media/{works[2]}/2/960", f"{path}/{works[2]}/2"):
        assert site.get(address).status_code in (200, 302)
    closed = make_share(site, series)
    assert site.get(f"{closed}/full/{works[0]}/1").status_code == 404
    other = add_draft(site, "Of no series")
    for address in (f"{path}/{other}", f"{path}/media/{other}/1/960", f"{path}/full/{other}/1"):
        assert site.get(address).status_code == 404


def test_the_cover_of_a_part_is_a_work_that_the_link_shows(either_site: Site) -> None:
    site = either_site
    removed, kept = add_draft(site, "Not for them"), add_draft(site, "For them")
    series = add_series(site, "Sea", kept, state="draft")
    part = add_series(site, "Prints", kept, removed, parent_id=series)
    with site.session() as session:
        series_edit.choose_series_cover(session, part, removed)
    path = make_share(site, series)
    assert site.find_key(removed, 1, 960) in site.get(path).text
    with site.session() as session:
        remove_member(session, part, removed)
    page = site.get(path).text
    assert "Prints" in page
    assert site.find_key(removed, 1, 960) not in page
    assert site.get(f"{path}/media/{removed}/1/960").status_code == 404


def test_a_link_follows_the_series(site: Site) -> None:
    works = [add_draft(site, f"Work {number}") for number in range(3)]
    series = add_series(site, "Sea", works[0], works[1], state="draft")
    path = make_share(site, series)
    with site.session() as session:
        add_members(session, series, [works[2]])
        place_member(session, series, works[2], works[0])
        trash.trash_groups(session, [works[1]], None)
        series_edit.save_series(
            session, series, 1, {"title": "Shore", "dates": "", "place": "", "text": ""}, None
        )
    page = site.get(path).text
    assert '<h1 dir="auto">Shore</h1>' in page
    assert list_works(page) == ["Work 2", "Work 0"]
    assert site.get(f"{path}/{works[1]}").status_code == 404
    with site.session() as session:
        series_trash.trash_series(session, series)
    for address in (path, f"{path}/{works[0]}", f"{path}/media/{works[0]}/1/960"):
        assert site.get(address).status_code == 410
    client = site.signed_in_client()
    assert "Series deleted" in client.get("/admin/shares").text
    with site.session() as session:
        series_trash.restore_series(session, series)
    assert list_works(site.get(path).text) == ["Work 2", "Work 0"]


def test_a_long_series_has_pages_that_cost_the_same(site: Site) -> None:
    works = [add_draft(site, f"Work {number:02}") for number in range(50)]
    series = add_series(site, "Sea", *works, state="draft")
    path = make_share(site, series)
    seen: list[str] = []
    counts, address = [], path
    while address:
        with count_statements() as sent:
            page = site.get(address).text
        counts.append(len(sent))
        seen += list_works(page)
        following = re.search(r'class="more" href="([^"]+)"', page)
        last, address = address, following[1] if following else ""
    assert seen == [f"Work {number:02}" for number in range(50)]
    assert max(counts[1:]) <= 16, counts
    middle = re.search(r'class="earlier" href="([^"]+)"', site.get(last).text)
    assert middle is not None
    page = site.get(middle[1]).text
    assert list_works(page)[0] == "Work 24"
    assert f'class="earlier" href="{path}"' in page
    # A group that left the series since: the first page.
    assert list_works(site.get(f"{path}?begin=99999").text)[0] == "Work 00"
    assert site.get(f"{path}?begin={10**18}").status_code == 200


def test_a_password_stands_before_a_series_too(site: Site) -> None:
    work = add_draft(site, "Work")
    series = add_series(site, "Sea", state="draft")
    part = add_series(site, "Prints", work, parent_id=series)
    path = make_share(site, series, password="open sesame")
    client = site.client()
    assert "Sea<" not in client.get(path).text
    for address in (f"{path}/series/{part}", f"{path}/{work}"):
        assert client.get(address).location == path
    assert unlock(client, path, "open sesame") == 303
    assert list_works(client.get(f"{path}/series/{part}").text) == ["Work"]


def test_a_series_is_shared_from_its_page(site: Site) -> None:
    work = add_draft(site, "Work")
    series = add_series(site, "Sea", work, state="draft")
    add_series(site, "Prints", parent_id=series)
    client = site.signed_in_client()
    assert f'href="/admin/shares/new?series={series}"' in client.get(f"/admin/series/{series}").text
    form = f"/admin/shares/new?series={series}"
    page = client.get(form).text
    assert 'value="Sea"' in page and "Prints" in page
    wrong = send(client, "/admin/shares", form, series=series, last_day="soon", title="Mine")
    assert wrong.status_code == 422
    assert 'value="Mine"' in wrong.text and f'name="series" value="{series}"' in wrong.text
    assert send(client, "/admin/shares", form, series=series + 9).status_code == 404
    made = follow(client, send(client, "/admin/shares", form, series=series, title="Sea"))
    assert "The link to “Sea”" in made.text
    path = read_address(made)
    assert list_works(site.get(path).text) == ["Work"]
    listed = client.get(f"/admin/shares?series={series}").text
    assert f'href="/admin/series/{series}">Series</a>' in listed and "“Sea”" in listed
    assert f'href="/admin/shares?series={series}"' in client.get(f"/admin/series/{series}").text
    assert "/admin/shares/1/revoke" not in client.get(f"/admin/shares?series={series + 1}").text
