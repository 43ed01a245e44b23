"""Visitors' pages from a replica: only while it has all changes, and never kept as newer.

The replica is a second database on the same server, which a test copies when it wants to: so its
lag is exactly what the test says. Its user may only read.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from flask import url_for
from sqlalchemy import Engine, create_engine, event, make_url, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError

from imagehub.database import REPLICA, Base, db, make_engine_options
from imagehub.domain.library import groups, series_edit
from imagehub.domain.library.tags import set_tags
from imagehub.domain.site import pages
from imagehub.models import Group, Image, TileSet
from imagehub.runtime.doctor.data import check_replica
from imagehub.web.access import REPLICA_ENDPOINTS
from imagehub.wiring import get_settings
from tests.fixtures.database import MariaDB, create_tables
from tests.fixtures.site import Site, make_site

# As the page cache and the session of a page ask for it.
MARK = "SELECT mark FROM gallery_revision"
MARK_OF_SESSION = "SELECT gallery_revision.mark \nFROM gallery_revision"
TABLES = [*(table.name for table in Base.metadata.sorted_tables), "search_index"]


@dataclass
class Pair:
    """A site on two databases of one server, each with a user of its own.

    ``read`` has the statements of each database since ``forget``.
    """

    site: Site
    server: Engine
    names: dict[str, str]
    users: dict[str, str]
    read: dict[str, list[str]] = field(default_factory=lambda: {"primary": [], REPLICA: []})

    def run(self, *statements: str) -> None:
        with self.server.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def replicate(self) -> None:
        """Give the replica all changes at once."""
        copies = ["SET foreign_key_checks = 0"]
        for table in TABLES:
            source, target = (f"{self.names[name]}.`{table}`" for name in ("primary", REPLICA))
            copies += [f"DELETE FROM {target}", f"INSERT INTO {target} SELECT * FROM {source}"]
        self.run(*copies)

    def rename(self, title: str) -> None:
        """Change the first work, in the primary database."""
        with self.site.session() as session:
            session.get_one(Group, 1).title = title
            groups.refresh_group(session, 1)

    def forget(self) -> None:
        for statements in self.read.values():
            statements.clear()

    @contextmanager
    def stop(self, name: str) -> Iterator[None]:
        """Let one of the databases answer nobody for the duration of a block."""
        user = self.users[name]
        self.run(f"ALTER USER {user} ACCOUNT LOCK")
        with self.server.connect() as connection:
            query = "SELECT id FROM information_schema.processlist WHERE user = :name"
            for number in connection.scalars(text(query), {"name": user}).all():
                connection.execute(text(f"KILL {number}"))
        try:
            yield
        finally:
            self.run(f"ALTER USER {user} ACCOUNT UNLOCK")


def make_user(server: Engine, database: str, rights: str) -> tuple[str, str]:
    """Create a user with rights on one database; return name and password."""
    user, password = f"u{secrets.token_hex(6)}", secrets.token_hex(8)
    with server.begin() as connection:
        connection.execute(text(f"CREATE USER {user} IDENTIFIED BY '{password}'"))
        connection.execute(text(f"GRANT {rights} ON {database}.* TO {user}"))
    return user, password


@pytest.fixture(scope="module")
def _pair(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    urls = {name: make_url(mariadb.create_database()) for name in ("primary", REPLICA)}
    server = create_engine(urls["primary"], **make_engine_options(str(urls["primary"])))
    names = {name: str(url.database) for name, url in urls.items()}
    copy = create_engine(urls[REPLICA])
    create_tables(copy)
    copy.dispose()
    writer = make_user(server, names["primary"], "ALL")
    reader = make_user(server, names[REPLICA], "SELECT")
    site = make_site(
        tmp_path_factory.mktemp("pair"),
        database_url=urls["primary"].set(username=writer[0]).render_as_string(),
        database_password=writer[1],
        read_database_url=urls[REPLICA].set(username=reader[0]).render_as_string(),
        read_database_password=reader[1],
        embed_sites="*",
    )
    pair = Pair(site, server, names, {"primary": writer[0], REPLICA: reader[0]})
    with site.app.app_context():
        engines = {"primary": db.engine, REPLICA: db.engines[REPLICA]}
    for name, engine in engines.items():

        def note(_c: Any, _cursor: Any, statement: str, *_: Any, name: str = name) -> None:
            pair.read[name].append(statement)

        event.listen(engine, "before_cursor_execute", note)
    yield pair
    for engine in engines.values():
        engine.dispose()
    pair.run(*(f"DROP USER {user}" for user in pair.users.values()))
    server.dispose()


@pytest.fixture
def pair(_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Return both databases with the same work."""
    site = _pair.site
    with site.session() as session:
        for table in reversed(Base.metadata.sorted_tables):
            if table.name != "user":
                session.execute(table.delete())
        session.execute(text("DELETE FROM search_index"))
    with _pair.server.begin() as connection:
        connection.execute(text("ALTER TABLE image_group AUTO_INCREMENT = 1"))
        connection.execute(text("ALTER TABLE series AUTO_INCREMENT = 1"))
    assert site.add_group(("a.jpg", "b.jpg")) == 1
    with site.session() as session:
        group = session.get_one(Group, 1)
        group.title = "Harbour"
        group.dimensions = "80 × 60 cm"
        group.tiles = "on"
        # One address of each kind needs tiles.
        image = session.query(Image).filter(Image.group_id == 1).first()
        assert image is not None
        tiles = {"object_key": "tiles/1/", "width_px": 6000, "height_px": 4000}
        session.merge(TileSet(image_id=image.id, sha256=image.sha256, **tiles))
        set_tags(session, group, ["Sea"])
        groups.refresh_group(session, 1)
        series = series_edit.create_series(session, "Coast", [1])
        series_edit.set_series_state(session, series.id, "published")
        page = pages.create_page(session, "about", "About")
        page.state = "published"
    _pair.replicate()
    site.app.extensions["imagehub.pages"].replica._rests_until = 0.0
    _pair.forget()
    return _pair


def make_paths(site: Site) -> dict[str, str]:
    """Return an address of each endpoint that may read the replica."""
    values = {
        "gallery.show_group": {"number": 1, "slug": "harbour"},
        "gallery.show_shot": {"number": 1, "shot": 1},
        "gallery.show_tag": {"slug": "sea"},
        "gallery.show_one_series": {"number": 1, "slug": "coast"},
        "gallery.show_series_feed": {"number": 1},
        "gallery.show_series_collection": {"number": 1},
        "gallery.show_series_stretch": {"number": 1, "stretch": 1},
        "gallery.show_work_manifest": {"number": 1},
        "gallery.show_true_size": {"number": 1},
        "gallery.api_series_page": {"series": 1, "page": 1},
        "gallery.api_similar": {"group": 1},
        "gallery.show_page": {"slug": "about"},
        "gallery.api_text_page": {"slug": "about"},
        "gallery.show_sitemap_page": {"number": 1},
        "gallery.search": {"q": "harbour"},
        "gallery.suggest": {"q": "harb"},
        "gallery.show_oembed": {"url": "http://localhost/groups/1"},
        "gallery.show_group_embed": {"number": 1},
        "gallery.show_series_embed": {"number": 1},
        "gallery.show_media": {"group": 1, "number": 1, "size": 480},
        "gallery.show_tile": {
            "number": 1,
            "region": "0,0,512,512",
            "size": "512,512",
            "ending": "webp",
        },
        "gallery.show_tile_info": {"number": 1},
        "gallery.show_tile_service": {"number": 1},
        "gallery.api_page": {"page": 1},
        "gallery.api_price": {"group": 1},
        "gallery.api_group": {"group": 1},
        "gallery.api_image": {"group": 1, "image_id": 1},
        "gallery.api_download": {"group_id": 1, "image_id": 1},
    }
    with site.app.test_request_context():
        return {name: url_for(name, **values.get(name, {})) for name in REPLICA_ENDPOINTS}


# --- Who reads what -------------------------------------------------------------------------------


def test_each_visitors_page_reads_the_replica_only(pair: Pair) -> None:
    for name, path in make_paths(pair.site).items():
        pair.forget()
        assert pair.site.get(path).status_code in (200, 302, 303), name
        rest = [one for one in pair.read["primary"] if "hub_setting" not in one]
        assert rest == [MARK], name
        assert len(pair.read[REPLICA]) >= 2, name


def test_a_kept_page_asks_the_primary_only(pair: Pair) -> None:
    pair.site.get("/")
    pair.forget()
    assert pair.site.get("/").status_code == 200
    assert pair.read == {"primary": [MARK], REPLICA: []}


def test_whoever_is_signed_in_reads_the_primary(pair: Pair) -> None:
    admin = pair.site.signed_in_client()
    pair.replicate()
    pair.forget()
    for path in ("/", "/groups/1/harbour", "/search/suggest?q=harb", "/admin/library", "/admin/"):
        assert admin.get(path).status_code == 200
    bearer = pair.site.bearer()
    assert pair.site.get("/image/page?page=1", headers=bearer).status_code == 200
    assert pair.read[REPLICA] == []
    assert len(pair.read["primary"]) > 5


def test_a_request_that_reads_the_replica_cannot_write(pair: Pair, tmp_path: Path) -> None:
    """Not even with a user that might."""
    with pair.site.app.app_context():
        primary = db.engine.url
    url = primary.render_as_string(hide_password=False)
    site = make_site(tmp_path, database_url=url, read_database_url=url)
    with site.app.app_context():
        session = db.session()
        session.info[REPLICA] = True
        assert session.scalar(select(Group.title)) == "Harbour"
        with pytest.raises(DBAPIError, match="READ ONLY"):
            session.execute(update(Group).values(title="Changed"))
        session.rollback()
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


# --- Lag ------------------------------------------------------------------------------------------


def test_a_change_shows_at_once_although_the_replica_lags(pair: Pair) -> None:
    assert "Harbour" in pair.site.get("/").text
    pair.rename("Breakwater")
    for path in ("/", "/search?q=breakwater", "/search/suggest?q=break"):
        assert "Breakwater" in pair.site.get(path).text
    pair.forget()
    assert "Breakwater" in pair.site.get("/groups/1/breakwater").text
    assert pair.read[REPLICA] == [MARK_OF_SESSION]
    # What was kept meanwhile is right, and stays so when the replica follows.
    pair.replicate()
    pair.forget()
    assert "Breakwater" in pair.site.get("/").text
    assert pair.read == {"primary": [MARK], REPLICA: []}
    assert "Breakwater" in pair.site.get("/tags/sea").text
    assert len(pair.read[REPLICA]) > 2


def test_a_page_read_before_a_change_is_not_kept_as_newer(pair: Pair) -> None:
    """The primary changes after its mark was read, and the replica does not know."""
    with pair.site.app.app_context():
        engine = db.engines[REPLICA]

    def change(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement == MARK_OF_SESSION:
            pair.rename("Breakwater")

    event.listen(engine, "before_cursor_execute", change)
    try:
        assert "Harbour" in pair.site.get("/").text
    finally:
        event.remove(engine, "before_cursor_execute", change)
    assert "Breakwater" in pair.site.get("/").text
    pair.replicate()
    assert "Breakwater" in pair.site.get("/").text


def test_a_replica_that_follows_during_a_page_does_no_harm(pair: Pair) -> None:
    """The replica gets a change between its mark and the page's rows: the page is newer."""
    with pair.site.app.app_context():
        engine = db.engines[REPLICA]
    seen: list[str] = []

    def follow(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)
        if len(seen) == 2:
            pair.rename("Breakwater")
            pair.replicate()

    event.listen(engine, "before_cursor_execute", follow)
    try:
        assert seen == [] and "Breakwater" in pair.site.get("/").text
    finally:
        event.remove(engine, "before_cursor_execute", follow)
    pair.forget()
    assert "Breakwater" in pair.site.get("/").text
    # It was kept under the older mark, so it is rendered again.
    assert len(pair.read[REPLICA]) > 2


# --- Outages --------------------------------------------------------------------------------------


def test_pages_are_read_from_the_primary_while_the_replica_is_away(pair: Pair) -> None:
    pages = pair.site.app.extensions["imagehub.pages"]
    pair.site.get("/")
    with pair.stop(REPLICA):
        assert "Harbour" in pair.site.get("/groups/1/harbour").text
        assert pages.replica._rests_until > 0
        pair.forget()
        assert "Harbour" in pair.site.get("/tags/sea").text
        # It is not asked again for a while.
        assert pair.read[REPLICA] == []
    pages.replica._rests_until = 0.0
    assert "Harbour" in pair.site.get("/groups/1/1").text
    assert len(pair.read[REPLICA]) > 2


def test_a_page_goes_on_when_the_replica_dies_in_the_middle(pair: Pair) -> None:
    with pair.site.app.app_context():
        engine = db.engines[REPLICA]

    def fail(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "image_group" in statement:
            raise OperationalError(statement, {}, Exception("the server has gone away"))

    event.listen(engine, "before_cursor_execute", fail)
    try:
        answer = pair.site.get("/groups/1/harbour")
        assert answer.status_code == 200 and "Harbour" in answer.text
        # Also the usual answers of the view come from the primary then.
        pair.site.app.extensions["imagehub.pages"].replica._rests_until = 0.0
        assert pair.site.get("/groups/99/nothing").status_code == 404
    finally:
        event.remove(engine, "before_cursor_execute", fail)


def test_visitors_read_the_replica_while_the_primary_is_away(pair: Pair) -> None:
    admin = pair.site.signed_in_client()
    pair.replicate()
    with pair.stop("primary"):
        for _ in range(2):
            assert "Harbour" in pair.site.get("/groups/1/harbour").text
        assert admin.get("/admin/library").status_code == 503
    # Nothing was kept that may be outdated.
    pair.rename("Breakwater")
    assert "Breakwater" in pair.site.get("/groups/1/breakwater").text
    assert pair.site.get("/groups/1/harbour").status_code == 301


def test_the_doctor_looks_at_the_replica(pair: Pair) -> None:
    settings = get_settings(pair.site.app)
    version = ["CREATE TABLE {}.alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
               "INSERT INTO {}.alembic_version VALUES ('0001')"]  # fmt: skip
    pair.run(*(one.format(pair.names[REPLICA]) for one in version))

    def look() -> tuple[str, str]:
        with pair.site.app.app_context():
            (finding,) = check_replica(settings)
            db.session.remove()
        return finding[0], finding[1]

    try:
        assert look() == ("ok", "It has all changes; visitors' pages are read from it.")
        pair.rename("Breakwater")
        assert look()[0] == "warning" and "lacks changes" in look()[1]
        with pair.stop(REPLICA):
            assert look()[0] == "warning" and "does not answer" in look()[1]
    finally:
        pair.run(f"DROP TABLE {pair.names[REPLICA]}.alembic_version")
    assert list(check_replica(replace(settings, read_database_url=""))) == []
