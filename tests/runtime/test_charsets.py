"""Databases that were made with another character set: checked, converted, and survived."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, String, create_engine, event, inspect, text
from sqlalchemy.orm import Session

from imagehub.cli import main
from imagehub.database import Base, make_engine_options
from imagehub.domain.imports import plans
from imagehub.models import Group, Tag, User
from imagehub.runtime.charsets import convert_tables, find_wrong_tables
from tests.fixtures.database import GivenServer, MariaDB
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.planning import make_plan

WAVE = "Große Welle 大波 🌊"
# The foreign keys over text: name -> table, and what happens to its rows with those they refer to.
TEXT_KEYS = {
    "fk_rendition_object_key_stored_object": ("rendition", None),
    "fk_skipped_enquiry_recipient_enquiry_recipient": ("skipped_enquiry", "CASCADE"),
}


def make_database(server: MariaDB | GivenServer, charset: str) -> str:
    """Create a database with this character set, in which tables name none."""
    url = server.create_database()
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {engine.url.database} CHARACTER SET {charset}"))
    engine.dispose()
    return url


def make_old_tables(url: str) -> None:
    """Create all tables as earlier versions did: without naming a character set."""
    engine = create_engine(url, **make_engine_options(url))

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def drop_charset(*event_values: object) -> tuple[object, object]:
        _connection, _cursor, statement, parameters, _context, _many = event_values
        if "CREATE TABLE" in str(statement) and "search_index" not in str(statement):
            statement = str(statement)[: str(statement).rindex(")") + 1]
        return statement, parameters

    Base.metadata.create_all(engine)
    engine.dispose()


def run(url: str, folder: Path, *arguments: str) -> Result:
    environment = {"IMAGEHUB_DATABASE_URL": url, "IMAGEHUB_DATA_DIR": str(folder)}
    return CliRunner().invoke(main, arguments, env=environment)


both = pytest.mark.parametrize("charset", ["latin1", "utf8mb3"], indirect=True)


@pytest.fixture
def charset(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "latin1"))


@pytest.fixture
def bad_url(mariadb: MariaDB | GivenServer, charset: str) -> str:
    return make_database(mariadb, charset)


@pytest.fixture
def old_engine(bad_url: str) -> Iterator[Engine]:
    make_old_tables(bad_url)
    engine = create_engine(bad_url, **make_engine_options(bad_url))
    yield engine
    engine.dispose()


@both
def test_migrations_name_the_character_set_of_every_table(bad_url: str, tmp_path: Path) -> None:
    assert run(bad_url, tmp_path, "migrate").exit_code == 0
    engine = create_engine(bad_url, **make_engine_options(bad_url))
    with engine.connect() as connection:
        assert find_wrong_tables(connection) == {}
        tables = dict(
            connection.execute(
                text(
                    "SELECT table_name, table_collation FROM information_schema.tables"
                    " WHERE table_schema = DATABASE()"
                )
            ).all()
        )
    assert tables.pop("search_index") == "ascii_bin"
    assert tables.keys() == {*Base.metadata.tables, "alembic_version"}
    assert set(tables.values()) == {"utf8mb4_unicode_ci"}
    with Session(engine) as session:
        session.add(Group(title=WAVE))
        session.commit()
        assert session.query(Group).one().title == WAVE
    engine.dispose()


@both
def test_the_doctor_finds_what_migrate_converts(
    old_engine: Engine, bad_url: str, charset: str, tmp_path: Path
) -> None:
    with Session(old_engine) as session:
        session.add(User(name="Jürgen", name_key="jürgen", password_hash="x"))
        session.add(Group(title="Große Welle"))
        # Ids and slugs that differ by case alone stay different.
        for name in ("sea", "Sea"):
            session.add(Tag(name="sea", name_key=name, slug=name))
        session.commit()
    report = run(bad_url, tmp_path, "doctor")
    assert f"{charset}_" in report.output
    assert "run `imagehub migrate`" in report.output
    with old_engine.connect() as connection:
        before = {name: _list_columns(connection, name) for name in Base.metadata.tables}
        # What the models were created with counts as the newest version.
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        newest = sorted(Path("migrations/versions").glob("0*.py"))[-1].name[:4]
        connection.execute(text(f"INSERT INTO alembic_version VALUES ('{newest}')"))
        connection.commit()
    answer = run(bad_url, tmp_path, "migrate")
    assert answer.exit_code == 0, answer.output
    with old_engine.connect() as connection:
        assert find_wrong_tables(connection) == {}
        assert {name: _list_columns(connection, name) for name in Base.metadata.tables} == before
        assert list(convert_tables(connection)) == []
        for name, (table, on_delete) in TEXT_KEYS.items():
            keys = {key["name"]: key for key in inspect(connection).get_foreign_keys(table)}
            assert keys[name]["options"].get("ondelete") == on_delete
    with Session(old_engine) as session:
        assert session.query(User).one().name == "Jürgen"
        assert sorted(tag.slug for tag in session.query(Tag)) == ["Sea", "sea"]
        group = session.query(Group).one()
        assert group.title == "Große Welle"
        group.title = WAVE
        session.commit()
    report = run(bad_url, tmp_path, "doctor")
    assert "All tables are utf8mb4." in report.output


def _list_columns(connection: object, table: str) -> list[tuple[object, ...]]:
    """List everything about columns except their character sets."""
    rows = connection.execute(  # type: ignore[attr-defined]
        text(
            "SELECT column_name, column_type, is_nullable, column_default, extra"
            " FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = :table ORDER BY ordinal_position"
        ),
        {"table": table},
    )
    return [tuple(row) for row in rows]


def test_the_conversion_is_tried_with_every_foreign_key_over_text() -> None:
    keys = {
        key.name
        for table in Base.metadata.tables.values()
        for key in table.foreign_key_constraints
        if any(isinstance(column.type, String) for column in key.columns)
    }
    assert keys == TEXT_KEYS.keys()


def test_a_table_that_cannot_be_converted_is_named(
    old_engine: Engine, bad_url: str, tmp_path: Path
) -> None:
    with old_engine.connect() as connection:
        # Too long for a row with four bytes per character.
        connection.execute(text("ALTER TABLE share_link ADD wide VARCHAR(18000)"))
        connection.commit()
    answer = run(bad_url, tmp_path, "migrate")
    assert answer.exit_code == 1
    assert "The table share_link cannot be converted to utf8mb4" in answer.output


def test_one_name_that_cannot_be_stored_fails_one_item(
    old_engine: Engine, bad_url: str, make_import_hub: Callable[..., ImportHub]
) -> None:
    hub = make_import_hub(bad_url)
    files = {"wave.jpg": make_jpeg(1), "wave 🌊.jpg": make_jpeg(2), "zebra.jpg": make_jpeg(3)}
    job_id = hub.create(hub.put_files("Works", files))
    assert hub.work(job_id) == ["done", "done"]
    report = hub.report(job_id)
    assert (report.done_count, report.failed_count, report.is_finished) == (2, 1, True)
    [failed] = report.failed
    assert failed.file_name == "wave ?.jpg"
    assert failed.reason == (
        "The database cannot store some characters of the field file_name. Run `imagehub migrate`, "
        "which converts its tables."
    )
    assert [image.name for image in hub.list_images()] == ["wave.jpg", "zebra.jpg"]

    # A file that is renamed after the import was requested fails alone, too.
    job_id = hub.create(hub.put_files("More", {"a.jpg": make_jpeg(4), "b.jpg": make_jpeg(5)}))
    more = hub.onedrive.root / "More"
    (more / "a.jpg").rename(more / "a 🌊.jpg")
    assert sorted(hub.work(job_id)) == ["done", "failed"]
    [failed] = hub.report(job_id).failed
    assert "characters of the field name. Run `imagehub migrate`" in failed.reason

    # A plan lists such a file among those that cannot be imported.
    plan = make_plan(hub, "More")
    assert plans.describe_plan(hub.session, plan).verdict_counts == {"known": 1, "unsupported": 1}
    (file,) = plans.list_unusable(hub.session, plan)
    assert "imagehub migrate" in file.reason
