"""Views and downloads: what counts, what does not, and that nothing is lost or kept too long."""

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from imagehub.database import db, now_utc
from imagehub.domain.library import series_edit
from imagehub.domain.sharing import links
from imagehub.models import DayCount, GalleryRevision, User
from imagehub.web import numbers as web_numbers
from imagehub.web.numbers import Numbers, is_browser
from tests.fixtures.database import count_statements
from tests.fixtures.site import Site, make_site

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PERSON = {"User-Agent": FIREFOX, "Accept-Language": "en", "Sec-Fetch-Dest": "document"}

Open = Callable[..., Site]


@pytest.fixture
def open_site(tmp_path: Path, site_folder: Path) -> Iterator[Open]:
    """Return a function that makes a hub that counts; called again, one on the same database."""
    made: list[Site] = []

    def make(**settings: str) -> Site:
        if not made:
            shutil.copytree(site_folder, tmp_path / "site")
        made.append(make_site(tmp_path / "site", **{"numbers": "on"} | settings))
        return made[-1]

    yield make
    for site in made:
        get_numbers(site.app).close()
        with site.app.app_context():
            db.engine.dispose()


def get_numbers(app: Flask) -> Numbers:
    found: Numbers = app.extensions["imagehub.numbers"]
    return found


def look(site: Site, path: str, address: str = "192.0.2.1", **headers: str) -> int:
    """Ask for a page as a person does; ``Name_With_Hyphens`` become headers."""
    given = PERSON | {name.replace("_", "-"): value for name, value in headers.items()}
    given = {name: value for name, value in given.items() if value}
    return site.get(path, headers=given, environ_base={"REMOTE_ADDR": address}).status_code


def read(site: Site, kind: str, number: int = 0, span: str = "day") -> tuple[int, int, int, int]:
    """Save what was counted; return views, visitors, downloads and frames of all days."""
    get_numbers(site.app).flush()
    with site.session() as session:
        rows = session.scalars(
            select(DayCount).filter_by(kind=kind, object_id=number, span=span)
        ).all()
        return (
            sum(row.views for row in rows),
            sum(row.visitors for row in rows),
            sum(row.downloads for row in rows),
            sum(row.frames for row in rows),
        )


# --- What counts ----------------------------------------------------------------------------------


def test_views_count_by_work_and_for_the_hub(open_site: Open) -> None:
    site = open_site()
    work = site.add_group()
    # The first is rendered, the second is kept, the third is known to the browser.
    path = f"/groups/{work}"
    tag = site.get(path).headers["ETag"]
    for headers in ({}, {}, {"If_None_Match": tag}):
        look(site, path, **headers)
    look(site, path, "192.0.2.9")
    assert look(site, f"/groups/{work}/1") == 200
    for page in ("/", "/series", "/tags", "/search?q=x"):
        look(site, page)
    assert read(site, "group", work) == (5, 2, 0, 0)
    assert read(site, "group", work, "month") == (5, 2, 0, 0)
    assert read(site, "hub") == (9, 2, 0, 0)


def test_series_count_once_however_many_pages_they_have(open_site: Open) -> None:
    site = open_site()
    works = [site.add_group() for _ in range(13)]
    with site.session() as session:
        series = series_edit.create_series(session, "Coast", works)
        series_edit.set_series_state(session, series.id, "published")
        number = series.id
    look(site, f"/series/{number}/coast")
    # The script of the wall fetches the second page; without it, a visitor goes there.
    look(site, f"/series/{number}/coast?page=2", Sec_Fetch_Dest="empty")
    look(site, f"/series/{number}/coast?page=2")
    assert read(site, "series", number) == (1, 1, 0, 0)
    assert read(site, "hub") == (2, 1, 0, 0)


def test_a_work_that_opens_in_the_viewer_counts(open_site: Open) -> None:
    site = open_site()
    work = site.add_group()
    look(site, f"/groups/{work}", Sec_Fetch_Dest="empty")
    assert read(site, "group", work) == (1, 1, 0, 0)


def test_share_links_count_apart_from_the_gallery(open_site: Open) -> None:
    site = open_site()
    work = site.add_group(state="draft")
    with site.session() as session:
        user = session.scalars(select(User.id)).first()
        assert user is not None
        share, token = links.create_share(session, user, [work], "For you")
        number = share.id
    look(site, f"/s/{token}")
    look(site, f"/s/{token}/{work}")
    look(site, "/s/unknown")
    assert read(site, "share", number) == (2, 1, 0, 0)
    assert read(site, "hub") == read(site, "group", work) == (0, 0, 0, 0)


def test_downloads_count_and_the_zoom_of_the_viewer_does_not(open_site: Open) -> None:
    site = open_site()
    work = site.add_group()
    with site.session() as session:
        # A file that cannot be cleaned is sent as a rendition, for which no OneDrive is needed.
        session.execute(text("UPDATE image SET private_state = 'fixed'"))
    path = f"/media/full/{work}/1"
    assert look(site, path) == look(site, path, Sec_Fetch_Dest="image") == 302
    assert read(site, "group", work) == (0, 0, 1, 0)
    assert read(site, "hub") == (0, 0, 1, 0)


def test_frames_of_other_sites_count_by_themselves(open_site: Open) -> None:
    site = open_site(embed_sites="*")
    work = site.add_group()
    for dest in ("iframe", "document"):
        look(site, f"/embed/groups/{work}", Sec_Fetch_Dest=dest)
    assert read(site, "group", work) == (0, 0, 0, 1)


# --- What does not --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"User_Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
        {"User_Agent": "curl/8.5.0"},
        {"User_Agent": ""},
        {"Accept_Language": ""},
        {"Sec_Purpose": "prefetch"},
        {"Sec_Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X_Moz": "prefetch"},
        {"Sec_Fetch_Dest": "image"},
        {"Sec_Fetch_Dest": "iframe"},
    ],
)
def test_who_does_not_look_is_not_counted(open_site: Open, headers: dict[str, str]) -> None:
    site = open_site()
    work = site.add_group()
    for _ in range(2):
        assert look(site, f"/groups/{work}", **headers) == 200
    assert read(site, "group", work) == (0, 0, 0, 0)
    # Such a request may be the one that renders the page for the people after it.
    look(site, f"/groups/{work}")
    assert read(site, "group", work) == (1, 1, 0, 0)


def test_heads_redirects_and_errors_are_not_counted(open_site: Open) -> None:
    site = open_site()
    work = site.add_group()
    site.client().head(f"/groups/{work}", headers=PERSON)
    look(site, f"/groups/{work}/an-old-title")
    look(site, "/groups/99")
    look(site, f"/groups/{work}/99")
    look(site, f"/media/{work}/1/480")
    assert read(site, "hub") == read(site, "group", work) == (0, 0, 0, 0)


def test_signed_in_people_are_not_counted(open_site: Open) -> None:
    site = open_site()
    work = site.add_group()
    admin = site.signed_in_client()
    admin.get(f"/groups/{work}", headers=PERSON)
    # One whose session is over, but who is remembered.
    other = site.client()
    other.set_cookie("remember_token", "1|abc")
    other.get(f"/groups/{work}", headers=PERSON)
    assert read(site, "group", work) == (0, 0, 0, 0)


def test_nothing_is_counted_until_it_is_turned_on(open_site: Open) -> None:
    site = open_site(numbers="off")
    work = site.add_group()
    look(site, f"/groups/{work}")
    assert read(site, "group", work) == read(site, "hub") == (0, 0, 0, 0)
    assert "numbers" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("header", ["Sec_GPC", "DNT"])
def test_who_asks_not_to_be_recognised_is_a_view_without_a_visitor(
    open_site: Open, header: str
) -> None:
    site = open_site()
    work = site.add_group()
    look(site, f"/groups/{work}", **{header: "1"})
    assert read(site, "group", work) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        (FIREFOX, True),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, "
            "like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
            True,
        ),
        ("Mozilla/5.0 (Linux; Android 12; CUBOT X30) AppleWebKit/537.36 Chrome/130.0", True),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/130.0", False),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", False),
        ("Mozilla/5.0 (Linux; Android 11) Chrome/119 Chrome-Lighthouse", False),
        ("facebookexternalhit/1.1", False),
        ("WordPress/6.7; https://example.org", False),
    ],
)
def test_browsers_are_told_from_robots(name: str, is_one: bool) -> None:
    assert is_browser(name) is is_one


# --- Visitors -------------------------------------------------------------------------------------


def test_a_visitor_is_told_by_address_and_browser_for_a_day(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = open_site()
    work = site.add_group()
    path = f"/groups/{work}"
    look(site, path, "2001:db8:1:2::1")
    # The same line, whose addresses change.
    look(site, path, "2001:db8:1:2::ffff")
    assert read(site, "group", work) == (2, 1, 0, 0)
    look(site, path, "2001:db8:1:2::1", User_Agent=FIREFOX.replace("140", "141"))
    assert read(site, "group", work) == (3, 2, 0, 0)
    tomorrow = now_utc() + timedelta(days=1)
    monkeypatch.setattr(web_numbers, "now_utc", lambda: tomorrow)
    look(site, path, "2001:db8:1:2::1")
    assert read(site, "group", work) == (4, 3, 0, 0)
    marks = get_numbers(site.app)._marks
    assert list(marks._keys) == [tomorrow.date()]
    # Neither address nor browser can be read from what is kept.
    assert all(isinstance(mark, bytes) and len(mark) == 8 for mark in marks._known)


def test_processes_with_redis_count_a_visitor_once(open_site: Open, redis_url: str) -> None:
    one = open_site(queue_url=redis_url)
    work = one.add_group()
    other = open_site(queue_url=redis_url)
    today = now_utc().date()
    for site in (one, other):
        get_numbers(site.app)._marks.prepare(today)
    for site in (one, other, one):
        look(site, f"/groups/{work}")
    look(other, f"/groups/{work}", "192.0.2.7")
    get_numbers(other.app).flush()
    assert read(one, "group", work) == (4, 2, 0, 0)
    import redis

    with redis.Redis.from_url(redis_url) as client:
        kept = [name for name in client.scan_iter() if name.startswith(b"imagehub:visitors")]
        assert len(kept) == 3
        assert all(0 < client.ttl(name) <= 172_800 for name in kept)


def test_without_its_redis_each_process_counts_for_itself(open_site: Open) -> None:
    site = open_site(queue_url="redis://127.0.0.1:9/0")
    work = site.add_group()
    get_numbers(site.app)._marks.prepare(now_utc().date())
    for _ in range(2):
        look(site, f"/groups/{work}")
    assert read(site, "group", work) == (2, 1, 0, 0)


# --- Memory and database --------------------------------------------------------------------------


def test_a_view_of_a_kept_page_takes_no_statement_of_its_own(open_site: Open) -> None:
    site = open_site()
    work = site.add_group()
    look(site, f"/groups/{work}")
    with count_statements() as statements:
        look(site, f"/groups/{work}")
    assert statements == ["SELECT mark FROM gallery_revision"]


def test_saving_leaves_kept_pages_alone_and_takes_few_statements(open_site: Open) -> None:
    site = open_site()
    works = [site.add_group() for _ in range(5)]
    for work in works:
        look(site, f"/groups/{work}")
    with site.session() as session:
        mark = session.scalars(select(GalleryRevision.mark)).one()
    with count_statements() as statements:
        get_numbers(site.app).flush()
    assert len(statements) == 1
    with site.session() as session:
        assert session.scalars(select(GalleryRevision.mark)).one() == mark


def test_what_cannot_be_saved_stays_counted(open_site: Open) -> None:
    site = open_site()
    work = site.add_group()
    look(site, f"/groups/{work}")
    with site.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE day_count RENAME TO away"))
    get_numbers(site.app).flush()
    look(site, f"/groups/{work}")
    with site.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO day_count"))
    assert read(site, "group", work) == (2, 1, 0, 0)


def test_memory_is_bounded(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    site = open_site()
    works = [site.add_group() for _ in range(4)]
    monkeypatch.setattr(web_numbers, "_MAX_THINGS", 3)
    monkeypatch.setattr(web_numbers, "_MAX_MARKS", 3)
    for work in works:
        look(site, f"/groups/{work}")
    numbers = get_numbers(site.app)
    assert len(numbers._counts) == 3
    assert len(numbers._marks._known) == 3
    # The whole is still right.
    assert read(site, "hub")[0] == 4
    assert [read(site, "group", work)[0] for work in works] == [1, 1, 0, 0]


def test_a_process_that_ends_saves_what_it_has_counted(open_site: Open) -> None:
    site = open_site()
    work = site.add_group()
    look(site, f"/groups/{work}")
    numbers = get_numbers(site.app)
    numbers.close()
    with site.session() as session:
        row = session.scalars(select(DayCount).filter_by(kind="group", span="day")).one()
        assert (row.object_id, row.views) == (work, 1)
    assert numbers._thread is not None
    assert not numbers._thread.is_alive()


def count_in_turn(site: Site, work: int, times: int, failures: list[Any]) -> None:
    try:
        for n in range(times):
            look(site, f"/groups/{work}")
            if n % 7 == 0:
                get_numbers(site.app).flush()
    except Exception as error:
        failures.append(error)


def test_nothing_is_lost_between_threads_that_count_and_save(open_site: Open) -> None:
    site = open_site()
    work = site.add_group()
    look(site, f"/groups/{work}")
    failures: list[Any] = []
    threads = [
        threading.Thread(target=count_in_turn, args=(site, work, 30, failures)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert read(site, "group", work)[:2] == (91, 1)


def test_days_are_those_of_utc(open_site: Open) -> None:
    site = open_site()
    site.add_group()
    look(site, "/")
    get_numbers(site.app).flush()
    with site.session() as session:
        days = set(session.scalars(select(DayCount.day)))
    today: date = now_utc().date()
    assert days == {today, today.replace(day=1)}
