"""Watching folders from the Drive page, and ending that on the connection page."""

from collections.abc import Iterator

import pytest

from imagehub.domain.library import series_edit
from imagehub.models import AuditEntry, WatchedFolder
from tests.admin.drive import Browser, make_jpeg
from tests.fixtures.site import ConnectedSite


@pytest.fixture
def browser(connected_site: ConnectedSite) -> Iterator[Browser]:
    connected_site.put_files("Works", {"a.jpg": make_jpeg()})
    yield Browser(connected_site)


def send(browser: Browser, path: str, **fields: str) -> int:
    data = {"csrf_token": browser.token, **fields}
    return browser.client.post(path, data=data).status_code


def list_watches(site: ConnectedSite) -> list[tuple[str, str, bool]]:
    with site.session() as session:
        rows = session.query(WatchedFolder).order_by(WatchedFolder.id)
        return [(one.path, one.way, one.is_published) for one in rows]


def test_a_folder_is_watched_and_no_longer(connected_site: ConnectedSite, browser: Browser) -> None:
    works = browser.find("Works")
    assert 'id="watch">' in browser.page(f"/admin/drive/{works}")
    assert send(browser, "/admin/drive/watch", folder=works, way="stem", publish="on") == 303
    assert list_watches(connected_site) == [("Works", "stem", True)]
    page = browser.page(f"/admin/drive/{works}")
    assert 'id="watch" hidden>' in page and "imported automatically and published" in page
    assert "Works" in browser.page("/admin/connection").split('id="watched-head"')[1]
    with connected_site.session() as session:
        watch_id = session.query(WatchedFolder.id).scalar()
    assert send(browser, "/admin/connection/unwatch", watch=str(watch_id)) == 303
    assert list_watches(connected_site) == []
    assert 'id="watched-head"' not in browser.page("/admin/connection")
    assert send(browser, "/admin/connection/unwatch", watch=str(watch_id)) == 404
    with connected_site.session() as session:
        actions = {action for (action,) in session.query(AuditEntry.action)}
    assert {"watch_folder", "unwatch_folder"} <= actions


def test_new_files_of_a_folder_join_a_series(
    connected_site: ConnectedSite, browser: Browser
) -> None:
    works = browser.find("Works")
    with connected_site.session() as session:
        sea, shore = (series_edit.create_series(session, title).id for title in ("Sea", "Shore"))
    assert f'<option value="{sea}">Sea</option>' in browser.page(f"/admin/drive/{works}")
    watch = {"folder": works, "way": "stem"}
    assert send(browser, "/admin/drive/watch", series="999", **watch) == 404
    assert list_watches(connected_site) == []
    assert send(browser, "/admin/drive/watch", series=str(sea), **watch) == 303
    page = browser.page("/admin/connection")
    assert f'<option value="{sea}" selected>Sea</option>' in page
    for series, status, kept in ((str(shore), 303, shore), ("999", 404, shore), ("", 303, None)):
        assert send(browser, "/admin/connection/watch-series", watch="1", series=series) == status
        with connected_site.session() as session:
            assert session.get_one(WatchedFolder, 1).series_id == kept
    assert send(browser, "/admin/connection/watch-series", watch="9", series=str(sea)) == 404


def test_wrong_requests_change_nothing(connected_site: ConnectedSite, browser: Browser) -> None:
    works = browser.find("Works")
    file = browser.find("a.jpg", works)
    assert send(browser, "/admin/drive/watch", folder=works, way="existing") == 302
    assert send(browser, "/admin/drive/watch", folder=file, way="folder") == 302
    assert send(browser, "/admin/drive/watch", folder="NOTHING!1", way="folder") == 404
    assert list_watches(connected_site) == []
    assert send(browser, "/admin/drive/watch", folder="", way="folder") == 303
    assert send(browser, "/admin/drive/watch", folder="", way="folder") == 302, "already watched"
    assert len(list_watches(connected_site)) == 1
