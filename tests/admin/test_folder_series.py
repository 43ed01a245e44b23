"""Making series of folders of the drive, from the Drive page."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select, update

from imagehub.models import AuditEntry, Series, SeriesGroup
from tests.admin.drive import Browser, add_image, make_jpeg
from tests.fixtures.site import ConnectedSite

PLACES = ("Works", "Works/Sea", "Works/Sea/Waves", "Works/Boat")


@pytest.fixture
def browser(connected_site: ConnectedSite) -> Iterator[Browser]:
    for place in PLACES:
        connected_site.put_files(place, {"a.jpg": make_jpeg()})
    connected_site.put_files("Other", {"a.jpg": make_jpeg()})
    yield Browser(connected_site)


def import_folder(site: ConnectedSite, browser: Browser, path: str, **facts: str) -> int:
    folder = ""
    for name in path.split("/"):
        folder = browser.find(name, folder)
    return add_image(site, browser.find("a.jpg", folder), title=path, folder_id=folder, **facts)


def make(browser: Browser, folder: str) -> tuple[int, str]:
    fields = {"csrf_token": browser.token, "folder": folder}
    answer = browser.client.post("/admin/drive/series", data=fields)
    return answer.status_code, answer.headers.get("Location", "")


def read_tree(site: ConnectedSite) -> dict[str, tuple[str | None, list[int]]]:
    with site.session() as session:
        titles = {one.id: one.title for one in session.scalars(select(Series))}
        found = {}
        for one in session.scalars(select(Series).order_by(Series.id)):
            members = select(SeriesGroup.group_id).where(SeriesGroup.series_id == one.id)
            ids = session.scalars(members.order_by(SeriesGroup.position)).all()
            parent = titles[one.parent_id] if one.parent_id else None
            found[one.title] = (parent, list(ids))
            assert one.state == "draft"
        assert len(found) == len(titles), "a title is there twice"
        return found


def test_a_folder_becomes_a_series_and_its_folders_parts(
    connected_site: ConnectedSite, browser: Browser
) -> None:
    top, sea, waves, boat = (import_folder(connected_site, browser, place) for place in PLACES)
    import_folder(connected_site, browser, "Other")
    works = browser.find("Works")
    assert 'action="/admin/drive/series"' in browser.page(f"/admin/drive/{works}")
    status, address = make(browser, works)
    assert (status, address.rpartition("/")[0]) == (303, "/admin/series")
    # The newest is first in the gallery; the only work of a folder is no part of its own.
    expected = {"Works": (None, [top, boat]), "Sea": ("Works", [waves, sea])}
    assert read_tree(connected_site) == expected

    # Again: nothing is made twice, and what is new is added.
    assert make(browser, works) == (303, address)
    assert read_tree(connected_site) == expected
    more = import_folder(connected_site, browser, "Works/Sea/Waves")
    assert make(browser, works) == (303, address)
    assert read_tree(connected_site) == expected | {"Sea": ("Works", [waves, sea, more])}
    with connected_site.session() as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    named = [name for name in actions if "series" in name]
    assert named == ["create_series", "add_to_series"]


def test_a_series_of_a_folder_is_found_again_by_the_folder(
    connected_site: ConnectedSite, browser: Browser
) -> None:
    top, sea, waves = (import_folder(connected_site, browser, place) for place in PLACES[:3])
    works, other = browser.find("Works"), browser.find("Other")
    _, address = make(browser, works)
    with connected_site.session() as session:
        # Of before series noted their folders: known by the title only.
        session.execute(update(Series).where(Series.title == "Sea").values(folder_id=""))
    assert make(browser, works)[1] == address
    with connected_site.session() as session:
        for one in session.scalars(select(Series)):
            one.title += " again"
    browser.form("/admin/drive/rename", item=works, folder="", name="Oeuvre")
    more = import_folder(connected_site, browser, "Oeuvre/Sea")
    assert browser.find("Oeuvre") == works
    assert make(browser, works) == (303, address)
    expected = {"Works again": (None, [top]), "Sea again": ("Works again", [waves, sea, more])}
    assert read_tree(connected_site) == expected
    # A folder that now has the name of the series is another one.
    with connected_site.session() as session:
        session.get_one(Series, int(address.rpartition("/")[2])).title = "Other"
    import_folder(connected_site, browser, "Other")
    assert make(browser, other)[1] != address


def test_a_folder_without_imported_works_makes_no_series(
    connected_site: ConnectedSite, browser: Browser
) -> None:
    import_folder(connected_site, browser, "Works", state="trash")
    works = browser.find("Works")
    assert make(browser, works)[0] == 302
    assert "Import the folder first." in browser.page(f"/admin/drive/{works}")
    assert make(browser, browser.find("a.jpg", works))[0] == 302
    assert make(browser, "NOTHING!1")[0] == 404
    assert read_tree(connected_site) == {}
