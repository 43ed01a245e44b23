"""The migrations, up and down with rows loaded, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Connection, event, inspect, text

from imagehub import create_app
from imagehub.config import load_settings
from imagehub.database import Base, db, init_migrations
from imagehub.models import (
    DriveAccount,
    Group,
    Image,
    Rendition,
    ShareItem,
    ShareLink,
    StoredObject,
    User,
)
from imagehub.runtime.serve import migrate_database
from tests.support import ROOT


@pytest.fixture
def app(empty_database_url: str, tmp_path: Path) -> Iterator[Flask]:
    settings = load_settings(
        {
            "IMAGEHUB_DATA_DIR": str(tmp_path / "data"),
            "IMAGEHUB_DATABASE_URL": empty_database_url,
        },
        None,
    )
    app = create_app(settings)
    init_migrations(app)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def load_rows() -> None:
    """One row in each table of the library, with letters of many scripts."""
    user = User(name="Ada", name_key="ada", password_hash="x")
    account = DriveAccount(home_account_id="a.b", token_cache=b"secret")
    db.session.add_all([user, account, StoredObject(key="renditions/aa/bb/c.webp")])
    db.session.flush()
    group = Group(title="Große Welle 大波 🌊 موجة", is_shown=True, image_count=1)
    db.session.add(group)
    db.session.flush()
    image = Image(
        group_id=group.id,
        number=1,
        position=1,
        name="front #1.jpg",
        drive_account_id=account.id,
        drive_item_id="ABC!s1",
        taken_at=datetime(2024, 5, 1, 12, 30),
        created_at=datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC),
    )
    db.session.add(image)
    db.session.flush()
    db.session.add(
        Rendition(
            image_id=image.id,
            size_px=480,
            width_px=480,
            height_px=320,
            size_bytes=1000,
            object_key="renditions/aa/bb/c.webp",
        )
    )
    db.session.commit()


def count_rows() -> dict[str, int]:
    tables = inspect(db.engine).get_table_names()
    with db.engine.connect() as connection:
        return {
            name: connection.execute(text(f"SELECT count(*) FROM `{name}`")).scalar() or 0
            for name in tables
        }


def test_models_equal_the_newest_migration(app: Flask) -> None:
    upgrade()
    with db.engine.connect() as connection:
        options = {
            "compare_type": True,
            # The full-text index is made by SQL of each database, and so are its shadow tables.
            "include_name": lambda name, kind, _parents: (
                not (kind == "table" and name.startswith("search_index"))
            ),
        }
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, Base.metadata)
    assert differences == [], "run `flask db migrate` and look at the new file"


def test_changing_a_large_table_may_take_longer_than_other_statements(app: Flask) -> None:
    """A connection to MySQL gives up reading after a minute, except while migrating."""
    timeouts: dict[str, set[object]] = {}

    def note(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        driver_connection = connection.connection.driver_connection
        timeout = getattr(driver_connection, "_read_timeout", None)
        timeouts.setdefault(statement.split()[0], set()).add(timeout)

    event.listen(db.engine, "before_cursor_execute", note)
    migrate_database(app)
    assert timeouts["CREATE"] == timeouts["ALTER"] == {None}
    timeouts.clear()
    db.session.execute(text("SELECT 1"))
    is_sqlite = db.engine.dialect.name == "sqlite"
    assert timeouts["SELECT"] == {None if is_sqlite else 60}


def test_every_step_goes_up_and_down_with_rows_loaded(app: Flask) -> None:
    upgrade()
    load_rows()
    before = count_rows()
    script = ScriptDirectory(str(ROOT / "migrations"))
    steps = [revision.revision for revision in script.walk_revisions()]  # newest first
    for revision in steps[1:]:
        downgrade(revision=revision)
        after = count_rows()
        assert after["image"] == before["image"] == 1
        assert after["rendition"] == before["rendition"] == 1
    upgrade()
    kept = db.session.query(Image).one()
    assert kept.group.title == "Große Welle 大波 🌊 موجة"
    assert kept.created_at == datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
    db.session.remove()
    downgrade(revision="base")
    assert set(inspect(db.engine).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
    upgrade()
    assert set(Base.metadata.tables) <= set(inspect(db.engine).get_table_names())


def test_item_ids_that_differ_by_case_are_two_items(app: Flask) -> None:
    upgrade()
    load_rows()
    first = db.session.query(Image).one()
    db.session.add(
        Image(
            group_id=first.group_id,
            number=2,
            position=2,
            name="b.jpg",
            drive_account_id=first.drive_account_id,
            drive_item_id="abc!S1",
        )
    )
    db.session.commit()
    assert db.session.query(Image).filter_by(drive_item_id="abc!S1").one().number == 2


def test_a_moment_without_a_zone_is_refused(app: Flask) -> None:
    upgrade()
    db.session.add(User(name="a", name_key="a", password_hash="x", created_at=datetime(2024, 1, 1)))
    with pytest.raises(Exception, match="without a time zone"):
        db.session.commit()
    db.session.rollback()


def test_images_of_before_know_what_the_drive_listed_but_live_photos(app: Flask) -> None:
    upgrade()
    load_rows()
    db.session.remove()
    for mime_type, known in (("image/jpeg", ("hash=", 5000)), ("image/heic", ("", 0))):
        downgrade(revision="0012")
        with db.engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE image SET quick_xor_hash = 'hash=', size_bytes = 5000, mime_type = :m"
                ),
                {"m": mime_type},
            )
        upgrade()
        with db.engine.connect() as connection:
            row = connection.execute(text("SELECT drive_hash, drive_size_bytes FROM image")).one()
        assert tuple(row) == known


def test_missing_images_of_before_are_asked_for_again(app: Flask) -> None:
    upgrade()
    load_rows()
    db.session.remove()
    for version, state, expected in (
        ("0015", "missing", ("missing", 2)),
        ("0015", "ok", ("ok", 0)),
    ):
        downgrade(revision=version)
        _set_state(state, 0)
        upgrade()
        assert _get_state() == expected
    _set_state("outside", 3)
    downgrade(revision="0015")
    assert _get_state() == ("missing", 2), "the version before knows nothing of outside"


def _set_state(state: str, doubt: int) -> None:
    with db.engine.begin() as connection:
        connection.execute(
            text("UPDATE image SET drive_state = :s, drive_doubt = :d"), {"s": state, "d": doubt}
        )


def _get_state() -> tuple[str, int]:
    with db.engine.connect() as connection:
        row = connection.execute(text("SELECT drive_state, drive_doubt FROM image")).one()
    return row.drive_state, row.drive_doubt


def test_hubs_with_images_keep_their_downloads_until_someone_chooses(app: Flask) -> None:
    upgrade()
    assert _get_settings() == {}, "a new hub"
    load_rows()
    db.session.remove()
    for before, after in (
        ({}, {"downloads": '"as-is"', "downloads_to_choose": "true"}),
        ({"downloads": '"off"'}, {"downloads": '"off"'}),
    ):
        downgrade(revision="0033")
        assert _get_settings() == {}
        with db.engine.begin() as connection:
            for name, value in before.items():
                statement = "INSERT INTO hub_setting VALUES (:name, :value, '2026-01-01 00:00:00')"
                connection.execute(text(statement), {"name": name, "value": value})
        upgrade()
        assert _get_settings() == after


def _get_settings() -> dict[str, str]:
    with db.engine.connect() as connection:
        return dict(connection.execute(text("SELECT name, value FROM hub_setting")).all())


def test_shares_keep_a_title_only_where_it_was_given(app: Flask) -> None:
    upgrade()
    groups = [Group(title="Harbour"), Group(title="Night")]
    db.session.add_all(groups)
    db.session.flush()
    for number, title in enumerate(("Harbour", "For Ada", "", "Night"), start=1):
        db.session.add(ShareLink(id=number, token_hash=str(number), title=title))
        db.session.flush()
        db.session.add_all(
            ShareItem(share_id=number, group_id=group.id, position=position)
            for position, group in enumerate(groups, start=1)
        )
    db.session.commit()
    db.session.remove()
    downgrade(revision="0016")
    assert _list_share_titles() == ["Harbour", "For Ada", "Harbour", "Night"]
    upgrade()
    assert _list_share_titles() == ["", "For Ada", "", "Night"]


def _list_share_titles() -> list[str]:
    with db.engine.connect() as connection:
        return list(connection.execute(text("SELECT title FROM share_link ORDER BY id")).scalars())
