"""Manifests: what a hub knows, without secrets, there and back on both databases."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from imagehub.config import load_settings
from imagehub.domain.imports.site_pictures import Source, find_source, keep_source
from imagehub.domain.library import groups, search, series, series_edit
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.objects.bookkeeping import leave_unused
from imagehub.domain.people import passwords
from imagehub.domain.sharing import links
from imagehub.domain.site import menu, pages
from imagehub.domain.site.manifest import iter_lines, open_snapshot
from imagehub.domain.site.manifest_import import ManifestError, read_manifest
from imagehub.domain.site.settings import get_site
from imagehub.domain.sync.watched_folders import TREE
from imagehub.domain.translations import write_translation
from imagehub.errors import ConflictError
from imagehub.models import (
    ApiToken,
    DriveAccount,
    GalleryBucket,
    Group,
    GroupTag,
    HubSetting,
    Image,
    LogoPicture,
    Rendition,
    ShareItem,
    ShareLink,
    StoredObject,
    Tag,
    TrashEntry,
    User,
    WatchedFolder,
    WatchedItem,
    WatermarkPicture,
)
from tests.fixtures.database import open_engine

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
LOGO_KEY, MARK_KEY = f"logos/{'1' * 64}.webp", f"watermark/{'2' * 64}.png"
KEY = "renditions/{0}/{0}/" + "{0}" * 32 + ".webp"
SECRETS = ("secret-of-the-admin", "sealed tokens", "hash-of-a-token", "hook-secret")


def fill(session: Session) -> str:
    """Fill a hub with one of everything; return the secret of its share link's address."""
    session.add(User(id=7, name="Ada", name_key="ada", password_hash=SECRETS[0]))
    session.add(
        DriveAccount(
            id=3,
            home_account_id="home-3",
            username="ada@example.org",
            drive_id="b!Drive",
            token_cache=SECRETS[1].encode(),
        )
    )
    session.flush()
    session.add(ApiToken(user_id=7, name="x", scope="read", token_hash=SECRETS[2], tail="1234"))
    session.add(HubSetting(name="title", value=json.dumps("Ada’s “Bilder”\u2028")))
    session.add(HubSetting(name="hook", value=json.dumps(SECRETS[3])))
    session.add(
        HubSetting(
            name="root_folder", value=json.dumps({"account": 3, "id": "Root!1", "words": "/Art"})
        )
    )
    session.add_all(
        [
            Tag(id=4, name="Öl", name_key="öl", slug="oel"),
            Tag(id=2, name="Heath", name_key="heath", slug="heath"),
        ]
    )
    for number, state in ((5, "published"), (8, "draft"), (9, "trash")):
        session.add(
            Group(
                id=number,
                state=state,
                title=f"Work {number} ✿",
                text="Two\nlines",
                availability="sold" if number == 5 else "",
                price="1250.50" if number == 8 else "",
                currency="CHF" if number == 8 else "",
                price_shown="share" if number == 8 else "nowhere",
                sort_key=number << 31,
                next_image_number=9,
                created_at=MOMENT,
                updated_at=MOMENT,
            )
        )
    session.flush()
    session.add_all(
        [
            GroupTag(group_id=5, tag_id=4, position=0),
            GroupTag(group_id=5, tag_id=2, position=1),
            TrashEntry(group_id=9, state_before="draft", user_id=7, trashed_at=MOMENT),
        ]
    )
    for number, group_id, position in ((11, 5, 2), (12, 5, 1), (20, 9, 1)):
        session.add(
            Image(
                id=number,
                group_id=group_id,
                number=number - 10,
                position=position,
                name=f"{number} ü.jpg",
                alt="A heath" if number == 12 else "",
                drive_account_id=3,
                drive_item_id=f"Item!{number}",
                drive_hash="hash" + str(number),
                sha256="ab" * 32,
                taken_at=datetime(2025, 7, 1, 8, 0, 0),
                exposure_seconds=0.5,
                created_at=MOMENT,
                updated_at=MOMENT,
            )
        )
    for name in ("aa", "bb"):
        session.add(StoredObject(key=KEY.format(name), size_bytes=100))
    session.flush()
    # Two images with the same content share an object.
    for image_id, size, name in (
        (11, 480, "aa"),
        (11, 960, "bb"),
        (12, 480, "aa"),
        (20, 480, "aa"),
    ):
        session.add(
            Rendition(
                image_id=image_id,
                size_px=size,
                width_px=size,
                height_px=size // 2,
                size_bytes=100,
                object_key=KEY.format(name),
            )
        )
    groups.refresh_groups(session, [5, 8, 9])
    session.execute(text("UPDATE image_group SET updated_at = created_at"))
    paper = series_edit.create_series(session, "Paper", [8, 5])
    prints = series_edit.create_series(session, "Prints", [5])
    values = {"title": "Prints ✿", "dates": "2019", "place": "Bremen", "text": "a\nb"}
    # A part with a lower number than the series that it belongs to.
    series_edit.save_series(session, paper.id, 1, values, prints.id)
    series_edit.set_series_state(session, prints.id, "published")
    series_edit.choose_series_cover(session, prints.id, 5)
    menu.set_places(session, prints, ["header"])
    for one in (paper, prints):
        one.created_at = one.updated_at = MOMENT
    share, token = links.create_share(session, 7, [8, 5], "For Bo", password="heath and moor")
    share.view_count = 3
    links.create_share(session, 7, [], series_id=prints.id, takes_lists=True)
    session.add(
        WatchedFolder(
            drive_account_id=3,
            item_id="Folder!1",
            path="/Art/New",
            way="folder",
            is_published=True,
            is_ready=True,
            user_id=7,
            created_at=MOMENT,
            problem="Of this moment.",
        )
    )
    page = pages.create_page(session, "imprint", "Impressum", "## Wer\n\n![Öl](image:1)")
    pages.set_state(session, page.id, pages.PUBLISHED)
    pages.save_page(session, page.id, page.version, page.title, "wer-wir-sind", page.text)
    page.created_at = page.updated_at = MOMENT
    for owner, texts in (
        (session.get_one(Group, 5), {"title": "Arbeit ❀", "medium": "Öl"}),
        (session.get_one(Image, 12), {"alt": "Eine Heide"}),
        (prints, {"place": "Brême"}),
        (page, {"title": "Imprint", "text": "## Who"}),
    ):
        write_translation(session, owner, "de", texts)
    refresh_search(session, [5])
    # The highest number that a group had is never used again.
    session.add(Group(id=40, created_at=MOMENT))
    session.flush()
    session.delete(session.get_one(Group, 40))
    session.commit()
    return token


def fill_look(session: Session) -> None:
    """Add a look with a logo and a watermark."""
    for key in (LOGO_KEY, MARK_KEY):
        session.add(StoredObject(key=key, size_bytes=321))
    session.add(WatermarkPicture(id=1, object_key=MARK_KEY, name="Zeichen ü.png"))
    for number in (2, 6):
        session.add(
            LogoPicture(
                id=number,
                object_key=LOGO_KEY,
                name="Logo ü.png",
                width_px=300,
                height_px=100,
                created_at=MOMENT,
            )
        )
    session.flush()
    keep_source(session, LOGO_KEY, Source(3, "Logo!1"))
    for name, value in (
        ("layout", "rows"), ("typefaces", "eb-garamond"), ("featured_work", "5"), ("logo", "6"),
        ("watermark", "picture"),
    ):  # fmt: skip
        session.add(HubSetting(name=name, value=json.dumps(value)))
    session.commit()


def export(engine: Engine) -> list[str]:
    with open_snapshot(engine) as connection:
        return list(iter_lines(connection))


@pytest.fixture
def filled(session: Session) -> Session:
    fill(session)
    return session


@pytest.fixture
def other_engine(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Any
) -> Iterator[Engine]:
    """Another empty hub, on the other kind of database."""
    if database_url.startswith("sqlite"):
        url = f"sqlite:///{tmp_path / 'other.db'}"
    else:
        url = request.getfixturevalue("mariadb").create_database()
    with open_engine(url) as engine:
        yield engine


def test_a_manifest_that_is_read_and_written_again_is_the_same(
    engine: Engine, filled: Session, other_engine: Engine
) -> None:
    lines = export(engine)
    with Session(other_engine) as session:
        imported = read_manifest(session, lines)
        session.commit()
    assert imported.counts == {
        "setting": 2, "account": 1, "tag": 2, "group": 3, "image": 3, "series": 2, "share": 2,
        "watch": 1,
        "page": 1,
        "menu": 2,
        "former_slug": 1,
        "translation": 6,
    }  # fmt: skip
    assert imported.unconnected == ["ada@example.org"]
    assert export(other_engine) == lines


def test_links_and_searches_go_on(engine: Engine, filled: Session, other_engine: Engine) -> None:
    lines = export(engine)
    with Session(other_engine) as session:
        read_manifest(session, lines)
        session.commit()
        work = session.get_one(Group, 5)
        assert (work.title, work.is_shown, work.image_count, work.cover_id) == (
            "Work 5 ✿", True, 2, 12
        )  # fmt: skip
        assert groups.count_shown_groups(session) == 1
        assert session.scalars(select(GalleryBucket.shown_count)).all() == [1]
        assert session.scalars(select(GroupTag.tag_id).order_by(GroupTag.position)).all() == [4, 2]
        assert session.scalar(select(func.count()).select_from(StoredObject)) == 2
        (prints,) = series.list_shown_series(session)
        assert (prints.series.title, prints.series.shown_count) == ("Prints", 1)
        (part,) = series.list_series(session, prints.series.id)
        assert (part.series.title, part.group_count) == ("Prints ✿", 2)
        assert [one.id for one in series.list_members(session, part.series.id, 1, 9)] == [8, 5]
        entry = session.get_one(TrashEntry, 9)
        assert (entry.state_before, entry.trashed_at) == ("draft", MOMENT)
        root = session.get_one(HubSetting, "root_folder").value
        assert json.loads(root)["account"] == 3
        # Numbers are never used again.
        session.add(new := Group())
        session.flush()
        assert new.id == 41
    with Session(other_engine) as session:
        assert search.list_group_ids(session, "heath") == [5]


def test_the_look_comes_along(
    engine: Engine, filled: Session, other_engine: Engine, tmp_path: Path
) -> None:
    fill_look(filled)
    lines = export(engine)
    with Session(other_engine) as session:
        # The account has another number there.
        session.add(DriveAccount(id=3, home_account_id="home-1", token_cache=b""))
        session.commit()
        imported = read_manifest(session, lines)
        session.commit()
        assert (imported.counts["logo"], imported.counts["watermark"]) == (2, 1)
        site = get_site(session, load_settings({"IMAGEHUB_DATA_DIR": str(tmp_path)}, None))
        assert (site.layout, site.typefaces, site.featured_work) == ("rows", "eb-garamond", 5)
        assert (site.logo, site.logo_dark, site.watermark) == (6, 0, "picture")
        logo = session.get_one(LogoPicture, 6)
        assert (logo.object_key, logo.name, logo.width_px) == (LOGO_KEY, "Logo ü.png", 300)
        account = session.scalars(
            select(DriveAccount.id).where(DriveAccount.home_account_id == "home-3")
        ).one()
        assert find_source(session, LOGO_KEY) == Source(account, "Logo!1")
        # This one was chosen before the hub noted such things.
        assert find_source(session, MARK_KEY) is None
        assert leave_unused(session, [LOGO_KEY, MARK_KEY]) == 0


def test_a_manifest_from_before_there_were_prices_is_read(
    engine: Engine, filled: Session, other_engine: Engine
) -> None:
    price = '"price": "1250.50", "currency": "CHF", "price_shown": "share", '
    none = '"price": "", "currency": "", "price_shown": "nowhere", '
    lines = [line.replace(price, "").replace(none, "") for line in export(engine)]
    assert sum('"price' in line for line in lines) == 0
    with Session(other_engine) as session:
        read_manifest(session, lines)
        group = session.get_one(Group, 8)
        assert (group.price, group.currency, group.price_shown) == ("", "", "nowhere")


def test_a_manifest_from_before_shots_could_be_videos_is_read(
    engine: Engine, filled: Session, other_engine: Engine
) -> None:
    video = re.compile(r'"(video_codec|duration_ms|has_sound|is_loop)": [^,}]*,? ?')
    lines = [video.sub("", line).replace(", }", "}") for line in export(engine)]
    assert sum('"is_loop' in line for line in lines) == 0
    with Session(other_engine) as session:
        read_manifest(session, lines)
        assert {image.video_codec for image in session.scalars(select(Image))} == {""}


@pytest.mark.parametrize(
    ("right", "wrong"), [("1250.50", "1,250.5"), ("1250.50", "abc"), ("CHF", "chf"),
                         ('"share"', '"all"')]
)  # fmt: skip
def test_a_price_that_pages_could_not_show_is_refused(
    engine: Engine, filled: Session, other_engine: Engine, right: str, wrong: str
) -> None:
    lines = [
        line.replace(right, wrong) if '"price": "1250.50"' in line else line
        for line in export(engine)
    ]
    with Session(other_engine) as session, pytest.raises(ManifestError, match="Its fields"):
        read_manifest(session, lines)


def test_a_manifest_contains_no_secret(engine: Engine, filled: Session) -> None:
    words = "".join(export(engine))
    share = filled.scalars(select(ShareLink).where(ShareLink.title == "For Bo")).one()
    for secret in (*SECRETS, share.token_hash, share.password_hash, "ada@example.org-password"):
        assert secret not in words
    assert '"has_password": true' in words
    assert json.dumps("Öl", ensure_ascii=False) in words


def test_share_links_need_new_addresses(
    engine: Engine, session: Session, other_engine: Engine
) -> None:
    token = fill(session)
    assert links.get_open_share(session, token).title == "For Bo"
    lines = export(engine)
    with Session(other_engine) as other:
        read_manifest(other, lines)
        other.commit()
        with pytest.raises(Exception, match=r"no longer valid|no such"):
            links.get_open_share(other, token)
        number, of_series = other.scalars(select(ShareLink.id).order_by(ShareLink.id)).all()
        assert links.list_shares(other)[0].name == "Prints"
        assert links.list_shares(other)[0].share.id == of_series
        assert [one.share.takes_lists for one in links.list_shares(other)] == [True, False]
        share, new = links.renew_share(other, number)
        assert links.get_open_share(other, new).id == share.id
        items = select(ShareItem.group_id).where(ShareItem.share_id == share.id)
        assert other.scalars(items.order_by(ShareItem.position)).all() == [8, 5]
        # It still asks for a password, and there is none that is right.
        for word in ("heath and moor", "", "!"):
            assert not passwords.is_right(share.password_hash, word)


def test_watched_folders_are_watched_again_and_import_nothing_that_is_there(
    engine: Engine, filled: Session, other_engine: Engine
) -> None:
    lines = export(engine)
    with Session(other_engine) as session:
        session.add(DriveAccount(id=6, home_account_id="home-3", token_cache=b"3"))
        session.commit()
        read_manifest(session, lines)
        session.commit()
        watched = session.scalars(select(WatchedFolder)).one()
        assert (watched.drive_account_id, watched.path, watched.way) == (6, "/Art/New", "folder")
        assert (watched.is_published, watched.is_ready, watched.problem) == (True, False, "")
        place = session.scalars(select(WatchedItem)).one()
        assert (place.item_id, place.state) == ("Folder!1", TREE)


def test_accounts_that_are_connected_already_are_recognised(
    engine: Engine, filled: Session, other_engine: Engine
) -> None:
    lines = export(engine)
    with Session(other_engine) as session:
        session.add(DriveAccount(id=1, home_account_id="home-1", token_cache=b"1"))
        session.add(DriveAccount(id=3, home_account_id="other", token_cache=b"2", is_active=False))
        session.add(DriveAccount(id=6, home_account_id="home-3", token_cache=b"3", is_active=False))
        session.commit()
        imported = read_manifest(session, lines)
        session.commit()
        assert imported.unconnected == []
        assert set(session.scalars(select(Image.drive_account_id))) == {6}
        assert json.loads(session.get_one(HubSetting, "root_folder").value)["account"] == 6


def test_a_hub_with_works_is_left_alone(engine: Engine, filled: Session) -> None:
    lines = export(engine)
    with pytest.raises(ConflictError, match="not empty"):
        read_manifest(filled, lines)
    filled.rollback()
    assert export(engine) == lines


def change(lines: list[str], number: int, **values: Any) -> list[str]:
    row = json.loads(lines[number])
    for name, value in values.items():
        if value is ...:
            del row[name]
        else:
            row[name] = value
    return [*lines[:number], json.dumps(row) + "\n", *lines[number + 1 :]]


DAMAGE: dict[str, Callable[[list[str]], list[str]]] = {
    "empty": lambda lines: [],
    "cut off": lambda lines: lines[:-1],
    "a line less": lambda lines: [*lines[:-3], *lines[-2:]],
    "half a line": lambda lines: [*lines[:5], lines[5][:20], *lines[6:]],
    "a line more": lambda lines: [*lines, lines[3]],
    "a picture": lambda lines: ["\ufffdPNG\0\0"],
    "no object": lambda lines: [lines[0], "[1]\n", *lines[1:]],
    "a list as kind": lambda lines: change(lines, 3, kind=[]),
    "an unknown kind": lambda lines: change(lines, 3, kind="user"),
    "another format": lambda lines: change(lines, 0, format=99),
    "an unknown setting": lambda lines: change(lines, 1, name="secret_key"),
    "a missing field": lambda lines: change(lines, 3, home_account_id=...),
    "a wrong type": lambda lines: change(lines, 6, title=["x"]),
    "a wrong time": lambda lines: change(lines, 6, created_at="yesterday"),
    "nothing": lambda lines: change(lines, 6, title=None),
    "an unknown tag": lambda lines: change(lines, 6, tags=[99]),
    "a number twice": lambda lines: [*lines[:7], lines[6], *lines[7:]],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_manifest_changes_nothing(
    light_engine: Engine, tmp_path: Any, damage: Callable[[list[str]], list[str]]
) -> None:
    with Session(light_engine) as session:
        fill(session)
    lines = export(light_engine)
    assert [json.loads(lines[number])["kind"] for number in (1, 3, 6)] == [
        "setting", "account", "group"
    ]  # fmt: skip
    with open_engine(f"sqlite:///{tmp_path / 'other.db'}") as engine:
        before = export(engine)
        with Session(engine) as session, pytest.raises(ManifestError):
            read_manifest(session, damage(lines))
        assert export(engine) == before


def test_the_snapshot_is_of_one_moment(engine: Engine, filled: Session) -> None:
    """What others save meanwhile is not in it, not even partly."""
    before = export(engine)
    with open_snapshot(engine) as connection:
        lines = iter_lines(connection)
        first = [next(lines)]
        with Session(engine) as other:
            other.add(Group(id=100, title="New", created_at=MOMENT))
            other.get_one(Group, 8).title = "Changed"
            other.commit()
        assert first + list(lines) == before
    assert export(engine) != before


def test_lone_surrogates_survive(light_engine: Engine, tmp_path: Any) -> None:
    """SQLite stores names that are no text, as OneDrive may list them."""
    with Session(light_engine) as session:
        session.add(Group(id=1, title="a\\ud800", text="\\", created_at=MOMENT, updated_at=MOMENT))
        session.commit()
    lines = export(light_engine)
    assert "".join(lines).encode()
    with open_engine(f"sqlite:///{tmp_path / 'other.db'}") as engine, Session(engine) as session:
        read_manifest(session, lines)
        session.commit()
        assert export(engine) == lines
