"""Pages that are kept for all visitors: what hits, what must not, and that no change shows late."""

import re
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import url_for
from sqlalchemy import Engine, event, select, update
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from imagehub.clients import DriveItem
from imagehub.database import db, now_utc
from imagehub.domain.library import groups, series_edit
from imagehub.domain.library.tags import set_tags
from imagehub.domain.site import pages
from imagehub.domain.site.settings import save_site
from imagehub.domain.sync.copies import note_files
from imagehub.models import GalleryRevision, Group, Lease, Tag
from imagehub.models.revision import PRIVATE_TABLES
from imagehub.web import page_cache
from imagehub.web.access import KEPT_ENDPOINTS, PUBLIC_ENDPOINTS
from imagehub.wiring import get_given_settings
from tests.fixtures.database import count_statements
from tests.fixtures.site import APP_ORIGIN, Site, make_site, read_csrf_token

WITH_GZIP = {"Accept-Encoding": "gzip"}


def is_kept(site: Site, path: str, **headers: str) -> bool:
    """Tell whether a response comes from the cache: it takes only one statement."""
    with count_statements() as statements:
        assert site.get(path, headers=headers).status_code == 200
    return statements == ["SELECT mark FROM gallery_revision"]


def make_paths(site: Site, number: int) -> dict[str, str]:
    """Return an address of each endpoint that is kept."""
    values = {
        "gallery.show_group": {"number": number, "slug": "harbour"},
        "gallery.show_shot": {"number": number, "shot": 1},
        "gallery.show_tag": {"slug": "sea"},
        "gallery.show_one_series": {"number": 1, "slug": "coast"},
        "gallery.show_series_feed": {"number": 1},
        "gallery.show_group_embed": {"number": number},
        "gallery.show_series_embed": {"number": 1},
        "gallery.show_series_collection": {"number": 1},
        "gallery.show_series_stretch": {"number": 1, "stretch": 1},
        "gallery.show_work_manifest": {"number": number},
        "gallery.show_true_size": {"number": number},
        "gallery.api_series_page": {"series": 1, "page": 1},
        "gallery.api_similar": {"group": number},
        "gallery.show_page": {"slug": "about"},
        "gallery.api_text_page": {"slug": "about"},
        "gallery.show_sitemap_page": {"number": 1},
        "gallery.search": {"q": "harbour"},
        "gallery.api_page": {"page": 1},
        "gallery.api_price": {"group": number},
        "gallery.api_group": {"group": number},
        "gallery.api_image": {"group": number, "image_id": 1},
        "gallery.api_download": {"group_id": number, "image_id": 1},
    }
    with site.app.test_request_context():
        return {name: url_for(name, **values.get(name, {})) for name in KEPT_ENDPOINTS}


@pytest.fixture
def harbour(site: Site) -> int:
    """Return a published work with a title and a tag."""
    number = site.add_group(("a.jpg", "b.jpg"))
    with site.session() as session:
        group = session.get_one(Group, number)
        group.title = "Harbour"
        group.dimensions = "80 × 60 cm"
        set_tags(session, group, ["Sea"])
        groups.refresh_group(session, number)
        series = series_edit.create_series(session, "Coast", [number])
        series_edit.set_series_state(session, series.id, "published")
        page = pages.create_page(session, "about", "About")
        page.state = "published"
        save_site(session, get_given_settings(site.app), {"embed_sites": "*"})
    return number


def change_work(site: Site, number: int, **values: str) -> None:
    with site.session() as session:
        group = session.get_one(Group, number)
        for name, value in values.items():
            setattr(group, name, value)


# --- What is kept ---------------------------------------------------------------------------------


def test_each_kept_response_is_sent_again_without_rendering(site: Site, harbour: int) -> None:
    for name, path in make_paths(site, harbour).items():
        first = site.get(path)
        assert is_kept(site, path), name
        again = site.get(path)
        assert (again.status_code, again.data) == (200, first.data), name
        ids = {answer.headers.pop("X-Request-Id") for answer in (first, again)}
        assert len(ids) == 2
        first.headers.pop("Date", None)
        assert sorted(again.headers) == sorted(first.headers), name


def test_a_known_response_is_not_sent_again(site: Site, harbour: int) -> None:
    for name, path in make_paths(site, harbour).items():
        tag = site.get(path).headers["ETag"]
        for _ in range(2):
            answer = site.get(path, headers={"If-None-Match": tag})
            assert (answer.status_code, answer.data) == (304, b""), name
            assert answer.headers["ETag"] == tag
            assert not {"Content-Length", "Content-Type"} & set(answer.headers.keys())
        assert site.get(path, headers={"If-None-Match": 'W/"other"'}).status_code == 200


def test_compressed_and_plain_responses_are_kept_apart(site: Site, harbour: int) -> None:
    plain, packed = site.get("/"), site.get("/", headers=WITH_GZIP)
    assert is_kept(site, "/") and is_kept(site, "/", **WITH_GZIP)
    assert "Content-Encoding" not in site.get("/").headers
    assert site.get("/", headers=WITH_GZIP).headers["Content-Encoding"] == "gzip"
    assert plain.headers["ETag"] == packed.headers["ETag"]
    for accepted in ("*", "gzip;q=0", "br", ""):
        answer = site.get("/", headers={"Accept-Encoding": accepted})
        assert answer.headers.get("Content-Encoding", "") == ("gzip" if accepted == "*" else "")


def test_head_gets_the_headers_of_the_kept_response(site: Site, harbour: int) -> None:
    whole = site.get("/")
    head = site.client().head("/")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(whole.data))
    assert is_kept(site, "/")


def test_language_theme_and_host_are_kept_apart(site: Site, harbour: int) -> None:
    english, german = site.get("/"), site.get("/", headers={"Accept-Language": "de-AT,en;q=0.5"})
    assert 'lang="en"' in english.text and 'lang="de"' in german.text
    assert is_kept(site, "/", **{"Accept-Language": "de"})
    client = site.client()
    client.set_cookie("theme", "dark")
    client.set_cookie("language", "de")
    for _ in range(2):
        page = client.get("/").text
        assert 'lang="de" data-theme="dark"' in page
    assert 'data-theme="auto"' in site.get("/").text
    other = site.get("/", base_url="http://other.example")
    assert 'href="http://other.example/"' in other.text
    assert "other.example" not in site.get("/").text


def test_only_origins_of_the_settings_are_kept_apart(site: Site, harbour: int) -> None:
    path = "/image/page?page=1"
    for _ in range(2):
        mine = site.get(path, headers={"Origin": APP_ORIGIN})
        assert mine.headers["Access-Control-Allow-Origin"] == APP_ORIGIN
        other = site.get(path, headers={"Origin": "https://other.example"})
        assert "Access-Control-Allow-Origin" not in other.headers
    assert is_kept(site, path, Origin="https://another.example")


def test_pages_for_a_signed_in_person_are_neither_kept_nor_taken(site: Site, harbour: int) -> None:
    admin = site.signed_in_client()
    for _ in range(2):
        page = admin.get("/")
        assert page.headers["Cache-Control"] == "private, no-store"
        assert 'href="/admin/"' in page.text
        assert 'href="/admin/"' not in site.get("/").text


def test_a_failure_is_not_kept(site: Site) -> None:
    assert site.get("/groups/1").status_code == 404
    site.add_group()
    assert site.get("/groups/1").status_code == 200


def test_presigned_addresses_are_renewed(
    site: Site, harbour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.get("/")
    assert is_kept(site, "/")
    tomorrow = time.time() + 86_400
    monkeypatch.setattr(page_cache.time, "time", lambda: tomorrow)
    assert not is_kept(site, "/")


def test_the_least_used_pages_make_room(tmp_path: Path) -> None:
    site = make_site(tmp_path, page_cache_mb="1")
    site.add_group()
    for i in range(300):
        site.get(f"/image/page?page=1&i={i}")
        site.get("/image/page?page=1")
    assert is_kept(site, "/image/page?page=1&i=299")
    assert is_kept(site, "/image/page?page=1")
    assert not is_kept(site, "/image/page?page=1&i=0")


def test_long_addresses_count_as_memory(tmp_path: Path) -> None:
    site = make_site(tmp_path, page_cache_mb="1")
    site.add_group()
    paths = [f"/image/page?page=1&i={i}{'x' * 100_000}" for i in range(12)]
    for path in paths:
        site.get(path)
    assert is_kept(site, paths[-1])
    assert not is_kept(site, paths[0])


def test_nothing_is_kept_without_memory(tmp_path: Path) -> None:
    site = make_site(tmp_path, page_cache_mb="0")
    tag = site.get("/").headers["ETag"]
    assert not is_kept(site, "/")
    assert site.get("/", headers={"If-None-Match": tag}).status_code == 304


# --- Changes --------------------------------------------------------------------------------------


def test_a_change_by_any_process_shows_at_once(site: Site, harbour: int, tmp_path: Path) -> None:
    other = make_site(tmp_path / "site")
    other._counter = site._counter
    for count in range(3):
        for one in (site, other):
            assert len(one.get("/image/page?page=1").json["data"]) == 1 + count
        (site if count % 2 else other).add_group()
    with other.app.app_context():
        db.engine.dispose()


def test_changes_by_statements_show_at_once(site: Site, harbour: int) -> None:
    assert "Harbour" in site.get("/").text
    with site.session() as session:
        session.execute(update(Group).values(title="Breakwater"))
    assert "Breakwater" in site.get("/").text
    with site.session() as session:
        session.execute(update(Tag).values(name="Land"))
    assert "Land" in site.get("/tags").text


# --- Requests at the same time --------------------------------------------------------------------


class Rush:
    """Requests for one page from several threads, of which the first stops while it renders.

    ``rendering_count`` is how many of them render. ``fails``: the first gets an error of the
    database.
    """

    def __init__(self, site: Site, path: str, fails: bool = False) -> None:
        self.rendering_count = 0
        self._site, self._path, self._fails = site, path, fails
        self._is_rendering, self._may_go_on = threading.Event(), threading.Event()
        self._idents: list[int] = []
        self._pool = ThreadPoolExecutor(8)

    def __enter__(self) -> "Rush":
        event.listen(Engine, "before_cursor_execute", self._stop)
        self.first = self._pool.submit(self._site.get, self._path)
        assert self._is_rendering.wait(30)
        return self

    def __exit__(self, *_exception: object) -> None:
        self.release()
        self._pool.shutdown()
        event.remove(Engine, "before_cursor_execute", self._stop)

    def _stop(self, _connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "gallery_bucket" not in statement:
            return
        self.rendering_count += 1
        if self.rendering_count > 1:
            return
        self._is_rendering.set()
        assert self._may_go_on.wait(30)
        if self._fails:
            raise OperationalError(statement, {}, Exception("no connection"))

    def add(self, count: int) -> list[Future[TestResponse]]:
        """Send more requests; return once all of them wait for the first."""

        def get() -> TestResponse:
            self._idents.append(threading.get_ident())
            return self._site.get(self._path)

        goal = len(self._idents) + count
        answers = [self._pool.submit(get) for _ in range(count)]
        until = time.monotonic() + 30
        while len(self._idents) < goal or not all(map(waits_for_another, self._idents)):
            assert time.monotonic() < until and self.rendering_count == 1
        return answers

    def release(self) -> None:
        self._may_go_on.set()


def waits_for_another(ident: int) -> bool:
    """Tell whether a thread waits in the page cache."""
    frame = sys._current_frames().get(ident)
    while frame is not None and frame.f_code is not threading.Event.wait.__code__:
        frame = frame.f_back
    caller = frame.f_back if frame is not None else None
    return caller is not None and caller.f_code.co_filename == page_cache.__file__


def test_first_requests_share_one_rendering(site: Site, harbour: int) -> None:
    with site.app.app_context():
        pool = db.engine.pool
    with Rush(site, "/") as rush:
        used = pool.checkedout()  # type: ignore[attr-defined]
        answers = rush.add(5)
        # Those that wait need no connection.
        assert pool.checkedout() == used  # type: ignore[attr-defined]
        assert site.get("/health").status_code == 200
        rush.release()
        pages = {answer.result(30).data for answer in (rush.first, *answers)}
        assert len(pages) == 1 and rush.rendering_count == 1


def test_a_failed_rendering_leaves_nobody_waiting(site: Site, harbour: int) -> None:
    with Rush(site, "/", fails=True) as rush:
        answers = rush.add(5)
        rush.release()
        assert rush.first.result(30).status_code == 503
        assert [answer.result(30).status_code for answer in answers] == [200] * 5
    assert is_kept(site, "/")


def test_those_who_wait_see_a_change_from_before_their_request(site: Site, harbour: int) -> None:
    with Rush(site, "/") as rush:
        change_work(site, harbour, title="Breakwater")
        answers = rush.add(5)
        rush.release()
        assert all("Breakwater" in answer.result(30).text for answer in answers)
        # One of them rendered for all, after the first.
        assert rush.rendering_count == 2


def test_addresses_that_are_not_kept_do_not_wait(site: Site, harbour: int) -> None:
    with Rush(site, "/") as rush:
        assert site.client().head("/").status_code == 200
        assert site.get("/?page=9").status_code == 404
        assert rush.rendering_count == 3


def test_settings_of_another_process_show_at_once(site: Site, harbour: int, tmp_path: Path) -> None:
    other = make_site(tmp_path / "site")
    assert "<title>ImageHub</title>" in other.get("/").text
    admin = site.signed_in_client()
    form = {"title": "Ada", "csrf_token": read_csrf_token(admin, "/admin/settings")}
    assert admin.post("/admin/settings", data=form).status_code == 302
    assert "<title>Ada</title>" in other.get("/").text
    with other.app.app_context():
        db.engine.dispose()


def test_no_reader_gets_an_older_page_than_the_last_commit(either_site: Site) -> None:
    """While one thread changes a title, others never see one from before their request."""
    number = either_site.add_group()
    written = 0
    is_over = threading.Event()
    faults: list[str] = []

    def read_pages() -> None:
        while not is_over.is_set():
            known = written
            answer = either_site.get(f"/groups/{number}/1")
            found = re.search(r"<title>Number (\d+)", answer.text)
            if answer.status_code != 200 or found is None or int(found[1]) < known:
                faults.append(f"{answer.status_code}: {found and found[1]}, not {known}")

    change_work(either_site, number, title="Number 0")
    readers = [threading.Thread(target=read_pages) for _ in range(4)]
    for thread in readers:
        thread.start()
    for count in range(1, 40):
        change_work(either_site, number, title=f"Number {count}")
        written = count
    is_over.set()
    for thread in readers:
        thread.join()
    assert faults == []


def test_the_mark_changes_with_public_tables_only(either_site: Site) -> None:
    def read_mark() -> int | None:
        with either_site.session() as session:
            return session.scalar(select(GalleryRevision.mark))

    number = either_site.add_group()
    marks = [read_mark()]
    with either_site.session() as session:
        session.add(Lease(name="a", held_until=now_utc()))
        # The feed of OneDrive mentions a file.
        note_files(session, 1, [DriveItem("F1", "new.jpg", False, 1, "", "", quick_xor_hash="A")])
    assert read_mark() == marks[0]
    with either_site.session() as session:
        session.execute(update(Group).values(title="Lost"))
        session.rollback()
    assert read_mark() == marks[0]
    for _ in range(3):
        change_work(either_site, number, title=f"Title {len(marks)}")
        marks.append(read_mark())
    assert len(set(marks)) == 4 and None not in marks


def test_kept_responses_read_no_private_table(site: Site, harbour: int) -> None:
    """Or a change of that table would not show."""
    for name, path in make_paths(site, harbour).items():
        with count_statements() as statements:
            assert site.get(path).status_code == 200
        words = set(re.findall(r'(?:FROM|JOIN) "?(\w+)', " ".join(statements)))
        assert words - {"gallery_revision"}, name
        assert not words & PRIVATE_TABLES, name


def test_every_kept_endpoint_is_public() -> None:
    assert KEPT_ENDPOINTS < PUBLIC_ENDPOINTS


def test_private_tables_exist() -> None:
    assert set(db.metadata.tables) > PRIVATE_TABLES


def test_pages_are_rendered_while_the_mark_cannot_be_read(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    site.add_group()
    assert site.get("/").status_code == 200
    with site.session() as session:
        GalleryRevision.__table__.drop(session.connection())  # type: ignore[attr-defined]
    with count_statements() as statements:
        assert site.get("/").status_code == 200
    assert len(statements) > 4


def test_requests_during_an_outage_leave_nothing_in_memory(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    site.add_group()
    with site.session() as session:
        GalleryRevision.__table__.drop(session.connection())  # type: ignore[attr-defined]

    def count_listeners() -> int:
        assert site.get("/").status_code == 200
        with site.app.app_context():
            return len(db.engine.dispatch.engine_disposed)

    assert count_listeners() == count_listeners() > 0
