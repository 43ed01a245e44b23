"""Videos in manifests, backups and repairs: they stay videos, and their places are found again."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import create_engine, delete, select, update
from sqlalchemy.orm import Session

from imagehub.cli import main
from imagehub.database import MIGRATIONS, make_engine_options
from imagehub.domain.imports import looks
from imagehub.domain.library import private_data
from imagehub.domain.people import users
from imagehub.models import Image, PrivateData
from imagehub.wiring import build_clients
from tests.domain.site.test_verify import look
from tests.domain.sync.test_videos import VIDEO_FACTS, make_film
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.imaging.video.files import make_place
from tests.runtime.backup.test_commands import run
from tests.runtime.backup.test_rebuild import lose_bucket
from tests.runtime.backup.test_rebuild import run as rebuild


@pytest.fixture
def hub(import_hub: ImportHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImportHub:
    """With a work of a picture and a film with a place, which plays in a loop."""
    monkeypatch.chdir(tmp_path)
    hub = import_hub
    film = make_film(more=make_place(), is_last=True)
    files = {"a.jpg": make_jpeg(1), "film.mp4": film}
    assert hub.work(hub.create(hub.put_files("Works", files))) == ["done"] * 2
    hub.session.execute(update(Image).where(Image.video_codec != "").values(is_loop=True))
    hub.session.commit()
    return hub


def read_film(session: Session) -> dict[str, Any]:
    """Read what is known of the film, with its stills and what is to be blanked."""
    session.rollback()
    session.expire_all()
    [film] = session.scalars(select(Image).where(Image.video_codec != ""))
    facts = {name: getattr(film, name) for name in VIDEO_FACTS}
    facts["stills"] = [one.object_key for one in film.renditions]
    facts["blanks"] = session.scalars(
        select(PrivateData.blanks).where(PrivateData.image_id == film.id)
    ).all()
    return facts


def forget_looks(session: Session) -> None:
    session.execute(delete(PrivateData))
    session.execute(update(Image).values(private_state=""))
    session.commit()


def look_again(session: Session, hub: ImportHub) -> None:
    session.rollback()
    looks.look_at_originals(session, hub.clients, "worker", lambda: True, 10_000_000)


def test_a_rebuild_keeps_a_video(hub: ImportHub) -> None:
    before = read_film(hub.session)
    assert (before["is_loop"], before["duration_ms"], before["private_state"]) == (
        True,
        42_000,
        private_data.REMOVABLE,
    )
    assert json.loads(*before["blanks"])
    lose_bucket(hub)
    rebuilt, said = rebuild(hub)
    assert (rebuilt.outcome.done, rebuilt.outcome.failed, said) == (2, 0, [])
    assert read_film(hub.session) == before
    hub.check_stores_agree()


def test_reconcile_makes_a_lost_still_again(hub: ImportHub) -> None:
    before = read_film(hub.session)
    hub.clients.store.delete_objects([before["stills"][0]])
    report = hub.reconcile()
    for job_id in report.repair_job_ids:
        assert hub.work(job_id) == ["done"]
    assert report.missing_count == 1
    assert read_film(hub.session) == before
    hub.check_stores_agree()


def test_a_check_finds_a_video_sound_and_notices_its_loss(hub: ImportHub) -> None:
    found, _ = look(hub, deep=True, originals=True)
    assert (found.counts, found.original_count) == ({}, 2)
    (hub.onedrive.root / "Works" / "film.mp4").unlink()
    found, said = look(hub, originals=True)
    assert found.counts == {"gone": 1}
    assert any("film.mp4" in line for line in said)


def test_places_are_found_again_after_they_were_forgotten(hub: ImportHub) -> None:
    before = read_film(hub.session)
    forget_looks(hub.session)
    assert read_film(hub.session)["blanks"] == []
    look_again(hub.session, hub)
    assert read_film(hub.session) == before


def test_a_video_moves_to_an_empty_hub_by_a_manifest(hub: ImportHub, tmp_path: Path) -> None:
    before = read_film(hub.session)
    file, new = tmp_path / "hub.jsonl", tmp_path / "new"
    assert run(hub, "export", str(file)).exit_code == 0
    imported = run(hub, "import-manifest", str(file), folder=new)
    assert imported.exit_code == 0, imported.output
    url = f"sqlite:///{new / 'imagehub.db'}"
    engine = create_engine(url, **make_engine_options(url))
    with Session(engine, expire_on_commit=False) as session:
        moved = read_film(session)
        left_out = {"blanks": [], "private_state": ""}
        assert moved == before | left_out
        settings = replace(hub.settings, data_dir=new, database_url=url)
        other = replace(
            hub,
            engine=engine,
            session=session,
            settings=settings,
            clients=build_clients(engine, settings),
        )
        other.user_id = users.create_admin(session, "Bea", "correct horse battery").id
        session.commit()
        other.connect()
        look_again(session, other)
        assert read_film(session) == before
    engine.dispose()


def test_a_manifest_of_before_videos_brings_their_stills(hub: ImportHub, tmp_path: Path) -> None:
    file, new = tmp_path / "hub.jsonl", tmp_path / "new"
    assert run(hub, "export", str(file)).exit_code == 0
    lines = []
    for line in file.read_text().splitlines():
        row = json.loads(line)
        for name in ("video_codec", "duration_ms", "has_sound", "is_loop"):
            row.pop(name, None)
        lines.append(json.dumps(row))
    file.write_text("\n".join(lines) + "\n")
    imported = run(hub, "import-manifest", str(file), folder=new)
    assert imported.exit_code == 0, imported.output
    assert "Read 1 groups and 2 images." in imported.output


def test_a_backup_brings_a_video_back(hub: ImportHub, tmp_path: Path) -> None:
    before = read_film(hub.session)
    embedded, restored = tmp_path / "embedded", tmp_path / "restored"
    embed(hub, embedded)
    file = str(tmp_path / "hub.tar.gz")
    for folder, arguments in ((embedded, ("backup", file)), (restored, ("restore", file))):
        variables = {"IMAGEHUB_DATA_DIR": str(folder)}
        result = CliRunner().invoke(main, list(arguments), env=variables)
        assert result.exit_code == 0, result.output
    engine = create_engine(f"sqlite:///{restored / 'imagehub.db'}")
    with Session(engine) as session:
        assert read_film(session) == before
    engine.dispose()
    stored = {
        path.relative_to(restored / "objects" / "imagehub").as_posix()
        for path in (restored / "objects").rglob("*.webp")
    }
    assert set(before["stills"]) <= stored == hub.list_keys()


def embed(hub: ImportHub, folder: Path) -> None:
    """Copy the database and the bucket of a hub into the data folder of an embedded one."""
    hub.session.rollback()
    folder.mkdir()
    with closing(sqlite3.connect(folder / "imagehub.db", isolation_level=None)) as copy:
        with closing(sqlite3.connect(str(hub.engine.url.database))) as database:
            database.backup(copy)
        copy.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        head = ScriptDirectory(MIGRATIONS).get_current_head()
        copy.execute("INSERT INTO alembic_version VALUES (?)", (head,))
    for key in hub.list_keys():
        path = folder / "objects" / "imagehub" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hub.clients.store.get_object(key))
