"""Manifests: what a hub knows, without secrets, there and back on both databases."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from imagehub.domain.library import groups, search
from imagehub.domain.people import passwords
from imagehub.domain.sharing import links
from imagehub.domain.site.manifest import iter_lines, open_snapshot
from imagehub.domain.site.manifest_import import ManifestError, read_manifest
from imagehub.errors import ConflictError
from imagehub.models import (
    ApiToken,
    DriveAccount,
    GalleryBucket,
    Group,
    GroupTag,
    HubSetting,
    Image,
    Rendition,
    ShareItem,
    ShareLink,
    StoredObject,
    Tag,
    TrashEntry,
    User,
)
from tests.fixtures.database import open_engine

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
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
    share, token = links.create_share(session, 7, [8, 5], "For Bo", password="heath and moor")
    share.view_count = 3
    # The highest number that a group had is never used again.
    session.add(Group(id=40, created_at=MOMENT))
    session.flush()
    session.delete(session.get_one(Group, 40))
    session.commit()
    return token


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
        "setting": 2, "account": 1, "tag": 2, "group": 3, "image": 3, "share": 1
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


def test_a_manifest_contains_no_secret(engine: Engine, filled: Session) -> None:
    words = "".join(export(engine))
    share = filled.scalars(select(ShareLink)).one()
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
        share, new = links.renew_share(other, other.scalars(select(ShareLink.id)).one())
        assert links.get_open_share(other, new).id == share.id
        items = select(ShareItem.group_id).where(ShareItem.share_id == share.id)
        assert other.scalars(items.order_by(ShareItem.position)).all() == [8, 5]
        # It still asks for a password, and there is none that is right.
        for word in ("heath and moor", "", "!"):
            assert not passwords.is_right(share.password_hash, word)


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
