"""Saving an embedded hub while it runs, and restoring it elsewhere."""

import gzip
import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import requests
from alembic.script import ScriptDirectory
from click.testing import CliRunner, Result

from imagehub.cli import main
from imagehub.clients.s3 import S3Store
from imagehub.config import Settings, load_settings
from imagehub.database import MIGRATIONS
from imagehub.runtime.backup import archive, restore, save
from imagehub.runtime.backup.archive import BackupError
from imagehub.runtime.data_lock import use_data_dir
from imagehub.runtime.supervisor import StartError
from tests.fixtures.programs import Command, choose_ports, sign_in
from tests.support import get_free_port

MOMENT = "2026-01-01 00:00:00.000000"
PASSWORD = "correct horse battery"
Run = Callable[..., Result]
KEY = "renditions/{0}/{0}/" + "{0}" * 32 + ".webp"


def read_settings(folder: Path, **variables: str) -> Settings:
    variables["IMAGEHUB_DATA_DIR"] = str(folder)
    return load_settings(variables, None, makes_secrets=False)


def list_rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "imagehub.db")) as database:
        return database.execute(query).fetchall()


@pytest.fixture
def hub(sqlite_url: str, tmp_path: Path) -> Settings:
    """A hub with an admin and two objects that an image uses."""
    folder = tmp_path / "hub"
    folder.mkdir()
    tables = Path(sqlite_url.removeprefix("sqlite:///")).rename(folder / "imagehub.db")
    with closing(sqlite3.connect(tables, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        head = ScriptDirectory(MIGRATIONS).get_current_head()
        add_row(database, "alembic_version", version_num=head)
        add_row(database, "user", name="ada", created_at=MOMENT)
    for name in ("aa", "bb"):
        add_object(folder, name)
    return load_settings({"IMAGEHUB_DATA_DIR": str(folder)}, None)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command in this process: ``run(folder, "backup", "-")``."""
    monkeypatch.chdir(tmp_path)

    def run_here(folder: Path, *arguments: str, data: bytes = b"", **variables: str) -> Result:
        variables["IMAGEHUB_DATA_DIR"] = str(folder)
        return CliRunner().invoke(main, list(arguments), input=data, env=variables)

    return run_here


def add_object(folder: Path, name: str) -> Path:
    """Store an object, and rows that use it."""
    key = KEY.format(name)
    path = folder / "objects" / "imagehub" / key
    path.parent.mkdir(parents=True)
    path.write_bytes(name.encode() * 500)
    with closing(sqlite3.connect(folder / "imagehub.db", isolation_level=None)) as database:
        database.execute(
            "INSERT INTO stored_object (key, size_bytes, is_deleting, created_at)"
            " VALUES (?, 1000, 0, ?)",
            (key, MOMENT),
        )
        number = database.execute("SELECT count(*) FROM rendition").fetchone()[0]
        if not number:
            add_row(database, "image_group", id=1, title="Heath", created_at=MOMENT)
        add_row(database, "image", id=number + 1, group_id=1, number=number + 1, created_at=MOMENT)
        add_row(database, "rendition", image_id=number + 1, object_key=key, size_px=480)
    return path


def add_row(database: sqlite3.Connection, table: str, **values: object) -> None:
    """Insert a row; columns without a value get an empty one."""
    for _, name, kind, is_required, default, _ in database.execute(f"PRAGMA table_info({table})"):
        if name not in values and name != "id" and is_required and default is None:
            values[name] = values.get("created_at") if kind == "DATETIME" else 0
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))


def read_members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_pictures_of_the_site_are_saved(hub: Settings, tmp_path: Path) -> None:
    keys = (f"logos/{'1' * 64}.webp", f"watermark/{'2' * 64}.png", f"renditions/{'3' * 64}.webp")
    with closing(sqlite3.connect(hub.data_dir / "imagehub.db", isolation_level=None)) as database:
        add_row(database, "logo_picture", object_key=keys[0], created_at=MOMENT)
        add_row(database, "watermark_picture", id=1, object_key=keys[1])
        # With the watermark.
        database.execute("UPDATE rendition SET marked_key = ? WHERE image_id = 1", (keys[2],))
        for key in keys:
            add_row(database, "stored_object", key=key, size_bytes=5, created_at=MOMENT)
            path = hub.data_dir / "objects" / "imagehub" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(key[:5].encode())
    saved = save.save_hub(hub, str(tmp_path / "hub.tar"))
    assert (saved.object_count, saved.missing_count) == (5, 0)
    target = read_settings(tmp_path / "new")
    restore.restore_hub(target, str(tmp_path / "hub.tar"))
    before, after = (read_tree(one.data_dir / "objects") for one in (hub, target))
    assert before == after and len(after) == 5


# --- There and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.xz"])
def test_archives_of_all_kinds_are_restored(hub: Settings, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"hub.{ending}"
    saved = save.save_hub(hub, str(file))
    assert (saved.object_count, saved.missing_count) == (2, 0)
    target = read_settings(tmp_path / "new" / "folder")
    restored = restore.restore_hub(target, str(file))
    assert (restored.earlier, restored.notes) == (None, ())
    for name in ("objects", "secrets"):
        before, after = (read_tree(one.data_dir / name) for one in (hub, target))
        assert before == after and before
    assert list_rows(target.data_dir, "SELECT name FROM user") == [("ada",)]
    assert {path.name for path in target.data_dir.iterdir()} == {
        "hub.lock", "imagehub.db", "objects", "secrets"
    }  # fmt: skip


def read_tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_backup_goes_through_pipes(hub: Settings, tmp_path: Path, run: Run) -> None:
    saved = run(hub.data_dir, "backup", "-")
    assert saved.exit_code == 0, saved.output
    assert "Saved 2 objects, the database and secrets" in saved.stderr
    assert set(read_members(saved.stdout_bytes)) >= {"backup.json", "imagehub.db", "end.json"}
    new = tmp_path / "new"
    restored = run(new, "restore", "-", data=saved.stdout_bytes)
    assert restored.exit_code == 0, restored.output
    assert restored.stdout.endswith("`imagehub verify` checks it.\n")
    assert restored.stdout.count("\n") == 2, "there is nothing to note"
    assert list_rows(new, "SELECT count(*) FROM rendition") == [(2,)]
    assert {path.stat().st_mode & 0o077 for path in (new, *new.rglob("*"))} == {0}


# --- Saving ---------------------------------------------------------------------------------------


def test_objects_that_are_stored_meanwhile_are_saved_with_their_rows(
    hub: Settings, tmp_path: Path
) -> None:
    """A worker goes on; what it stores after the folder was read is in the archive all the same."""
    left = ["cc", "dd"]

    def work_on() -> None:
        if left:
            add_object(hub.data_dir, left.pop())

    file = tmp_path / "hub.tar"
    saved = save.save_hub(hub, str(file), note_object=work_on)
    assert saved.missing_count == 0
    members = read_members(file.read_bytes())
    assert {f"objects/imagehub/{KEY.format(name)}" for name in ("aa", "bb", "cc", "dd")} <= set(
        members
    )
    restore.restore_hub(target := read_settings(tmp_path / "new"), str(file))
    used = list_rows(target.data_dir, "SELECT object_key FROM rendition")
    assert len(used) == 4
    for (key,) in used:
        assert (target.data_dir / "objects" / "imagehub" / str(key)).is_file()


def test_tiles_that_are_stored_meanwhile_are_saved_too(hub: Settings, tmp_path: Path) -> None:
    key = f"tiles/{1:012d}/{'ab' * 16}/"
    folder = hub.data_dir / "objects" / "imagehub" / key

    def work_on() -> None:
        if folder.exists():
            return
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / f"0,0,{number}.webp").write_bytes(b"tile")
        with closing(sqlite3.connect(hub.data_dir / "imagehub.db", isolation_level=None)) as made:
            add_row(made, "tile_set", image_id=1, object_key=key, due_at=MOMENT, updated_at=MOMENT)

    saved = save.save_hub(hub, str(file := tmp_path / "hub.tar"), note_object=work_on)
    assert (saved.object_count, saved.missing_count) == (5, 0)
    names = [name for name in read_members(file.read_bytes()) if f"/{key}" in name]
    assert len(names) == 3
    for one in folder.iterdir():
        one.unlink()
    assert save.save_hub(hub, str(file)).missing_count == 1


def test_objects_that_the_hub_lacks_are_counted(hub: Settings, tmp_path: Path) -> None:
    (hub.data_dir / "objects" / "imagehub" / KEY.format("aa")).unlink()
    saved = save.save_hub(hub, str(tmp_path / "hub.tar"))
    assert (saved.object_count, saved.missing_count) == (1, 1)


def test_a_backup_without_objects_says_what_to_do(hub: Settings, tmp_path: Path) -> None:
    file = tmp_path / "hub.tar.gz"
    saved = save.save_hub(hub, str(file), with_objects=False)
    assert (saved.object_count, saved.missing_count, saved.has_objects) == (0, 0, False)
    restored = restore.restore_hub(read_settings(tmp_path / "new"), str(file))
    assert ["no renditions" in note for note in restored.notes] == [True]


def test_a_damaged_database_is_not_saved_over_an_older_backup(
    hub: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "hub.tar"
    save.save_hub(hub, str(file))
    before = file.read_bytes()
    with (hub.data_dir / "imagehub.db").open("r+b") as database:
        database.seek(4096 * 3)
        database.write(b"\xff" * 4096 * 20)
    with pytest.raises((BackupError, sqlite3.DatabaseError)):
        save.save_hub(hub, str(file))
    assert file.read_bytes() == before
    assert not list(tmp_path.glob(".hub.tar*"))
    assert not list((hub.data_dir / "scratch").iterdir())


@pytest.mark.parametrize(
    "variables",
    [
        {"IMAGEHUB_DATABASE_URL": "mysql+pymysql://hub@db/hub"},
        {"IMAGEHUB_DATABASE_URL": "sqlite:////elsewhere/hub.db"},
    ],
    ids=["mysql", "elsewhere"],
)
def test_other_databases_have_their_own_tools(tmp_path: Path, variables: dict[str, str]) -> None:
    settings = read_settings(tmp_path / "data", **variables)
    for run in (save.save_hub, restore.restore_hub):
        with pytest.raises(BackupError, match="mysqldump"):
            run(settings, str(tmp_path / "hub.tar"))
    assert not (tmp_path / "data").exists()


def test_where_no_hub_is_nothing_is_saved_or_created(tmp_path: Path, run: Run) -> None:
    done = run(tmp_path / "data", "backup", "hub.tar")
    assert done.exit_code == 1
    assert f"There is no hub in {tmp_path}/data." in done.output
    assert list(tmp_path.iterdir()) == []


# --- Restoring ------------------------------------------------------------------------------------


def test_what_was_there_is_moved_aside(hub: Settings, tmp_path: Path) -> None:
    file = tmp_path / "hub.tar"
    save.save_hub(hub, str(file))
    path = add_object(hub.data_dir, "ee")
    (hub.data_dir / "mine.txt").touch()
    restored = restore.restore_hub(hub, str(file), may_replace=True)
    assert restored.earlier is not None
    assert not path.exists()
    assert list_rows(hub.data_dir, "SELECT count(*) FROM rendition") == [(2,)]
    assert list_rows(restored.earlier, "SELECT count(*) FROM rendition") == [(3,)]
    assert (restored.earlier / path.relative_to(hub.data_dir)).exists()
    assert (hub.data_dir / "mine.txt").exists()


def test_another_key_for_tokens_is_noticed(hub: Settings, tmp_path: Path) -> None:
    file = tmp_path / "hub.tar"
    save.save_hub(hub, str(file))
    other = "A" * 43 + "="
    new = read_settings(tmp_path / "new", IMAGEHUB_TOKEN_KEY=other)
    [note] = restore.restore_hub(new, str(file)).notes
    assert "another IMAGEHUB_TOKEN_KEY" in note
    assert (
        hub.token_key
        not in file.read_bytes().decode("latin-1").split("end.json")[0].split("secrets/")[0]
    )


def test_a_hub_in_use_is_not_replaced(hub: Settings, tmp_path: Path) -> None:
    file = tmp_path / "hub.tar"
    save.save_hub(hub, str(file))
    before = read_tree(hub.data_dir / "objects")
    with use_data_dir(hub.data_dir), pytest.raises(StartError, match="A hub is running"):
        restore.restore_hub(hub, str(file), may_replace=True)
    # A web server of another kind, which has no lock of ours.
    with closing(sqlite3.connect(hub.data_dir / "imagehub.db")) as database:
        database.execute("SELECT count(*) FROM user").fetchone()
        with pytest.raises(BackupError, match="open"):
            restore.restore_hub(hub, str(file), may_replace=True)
    assert read_tree(hub.data_dir / "objects") == before


def make_archive(members: list[tuple[tarfile.TarInfo, bytes]], *, end: bool = True) -> bytes:
    """Make an archive of any members, whose hashes are right."""
    header = {"format": 1, "has_objects": True}
    total, count = hashlib.sha256(), 0
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        all_members = [(tarfile.TarInfo("backup.json"), json.dumps(header).encode()), *members]
        for member, data in all_members:
            digest = hashlib.sha256(data).hexdigest()
            member.size = len(data) if member.isreg() else 0
            member.pax_headers["IMAGEHUB.sha256"] = digest
            tar.addfile(member, io.BytesIO(data))
            total.update(f"{digest} {member.name}\n".encode())
            count += 1
        if end:
            data = json.dumps({"members": count, "sha256": total.hexdigest()}).encode()
            last = tarfile.TarInfo("end.json")
            last.size = len(data)
            last.pax_headers["IMAGEHUB.sha256"] = hashlib.sha256(data).hexdigest()
            tar.addfile(last, io.BytesIO(data))
    return buffer.getvalue()


def make_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


EVIL = {
    "parent": make_member("objects/../../evil"),
    "parent-at-end": make_member("objects/.."),
    "absolute": make_member("/tmp/evil"),
    "elsewhere": make_member(".bashrc"),
    "below-secrets": make_member("secrets/./evil"),
    "link": make_member("objects/a", tarfile.SYMTYPE, "/tmp"),
    "hard-link": make_member("objects/a", tarfile.LNKTYPE, "/etc/passwd"),
    "device": make_member("objects/a", tarfile.CHRTYPE),
    "folder": make_member("objects/a", tarfile.DIRTYPE),
}


@pytest.mark.parametrize("member", EVIL.values(), ids=EVIL)
def test_nothing_is_written_outside_of_the_folder(tmp_path: Path, member: tarfile.TarInfo) -> None:
    file = tmp_path / "evil.tar"
    file.write_bytes(make_archive([(member, b"evil")]))
    with pytest.raises(BackupError):
        restore.restore_hub(read_settings(tmp_path / "new"), str(file))
    assert {path.name for path in tmp_path.rglob("*")} == {"evil.tar", "new", "hub.lock"}


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "twice.tar"
    file.write_bytes(
        make_archive([(make_member("objects/a"), b"1"), (make_member("objects/a"), b"2")])
    )
    with pytest.raises(BackupError, match="twice"):
        restore.restore_hub(read_settings(tmp_path / "new"), str(file))


def test_damage_is_found_before_anything_is_touched(hub: Settings, tmp_path: Path) -> None:
    file = tmp_path / "hub.tar"
    save.save_hub(hub, str(file))
    good = file.read_bytes()
    place = good.index(b"aa" * 500) + 30
    damaged = {
        "a byte": good[:place] + b"x" + good[place + 1 :],
        "cut off": good[: len(good) // 2],
        "without its end": good[: good.rindex(b"end.json") // 512 * 512 - 1024],
        "empty": b"",
        "text": b"not an archive at all" * 100,
        "cut compression": gzip.compress(good)[:-2000],
        "no database": make_archive([(make_member("objects/a"), b"1")]),
        "no end": make_archive([(make_member("imagehub.db"), b"1")], end=False),
        "other database": make_archive([(make_member("imagehub.db"), b"SQLite format 3\0" * 99)]),
    }
    before = read_tree(hub.data_dir)
    for what, data in damaged.items():
        file.write_bytes(data)
        with pytest.raises(BackupError):
            restore.restore_hub(hub, str(file), may_replace=True)
            raise AssertionError(f"restored: {what}")
        after = read_tree(hub.data_dir)
        after.pop("hub.lock", None)
        before.pop("hub.lock", None)
        assert {n: d for n, d in after.items() if "db" not in n} == {
            n: d for n, d in before.items() if "db" not in n
        }, what
        assert list_rows(hub.data_dir, "SELECT count(*) FROM rendition") == [(2,)]


def test_a_backup_of_a_newer_version_is_refused(hub: Settings, tmp_path: Path) -> None:
    file = tmp_path / "hub.tar"
    with closing(sqlite3.connect(hub.data_dir / "imagehub.db", isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    save.save_hub(hub, str(file))
    with pytest.raises(BackupError, match="newer version"):
        restore.restore_hub(read_settings(tmp_path / "new"), str(file))
    other = make_archive([])
    file.write_bytes(other.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(BackupError):
        restore.restore_hub(read_settings(tmp_path / "new"), str(file))


def test_names_that_a_reader_refuses_are_not_written() -> None:
    for name in ("objects/", "objects", "secrets/../a", "other/a", "imagehub.db/a", "objects//a"):
        assert not archive._FILE_NAME.fullmatch(name), name
    for name in ("objects/imagehub/..a", "objects/b/a..b", "secrets/token_key", "objects/ü/.x"):
        assert archive._FILE_NAME.fullmatch(name), name


# --- Whole hubs -----------------------------------------------------------------------------------


def test_a_running_hub_is_saved_and_restored_on_another_machine(
    start_command: Callable[..., Command], tmp_path: Path, run: Run
) -> None:
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "hub.tar.gz"
    data, ports = first / "instance", choose_ports()
    made = run(data, "create-admin", "ada", "--password-stdin", data=PASSWORD.encode(), **ports)
    assert made.exit_code == 0, made.output
    running = start_command(first, "serve", "--port", str(get_free_port()), **ports)
    running.wait_until_ready()
    store = open_store(data, ports)
    store.create_bucket()
    key = KEY.format("cc")
    store.put_object(key, b"a rendition", "image/webp")

    saved = run(data, "backup", str(file), **ports)
    assert saved.exit_code == 0, saved.output
    assert "Saved 1 objects, the database and secrets" in saved.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"first", "hub.tar.gz"}

    # It cannot be replaced while it runs, nor by accident.
    refused = run(data, "restore", str(file), "--replace", **ports)
    assert (refused.exit_code, "A hub is running" in refused.output) == (1, True)
    running.end()
    refused = run(data, "restore", str(file), **ports)
    assert (refused.exit_code, "There is a hub" in refused.output) == (1, True)

    restored = run(second / "instance", "restore", str(file), **ports)
    assert restored.exit_code == 0, restored.output
    again = start_command(second, "serve", "--port", str(get_free_port()), **ports)
    address = again.wait_until_ready()
    assert requests.get(address, timeout=30).status_code == 200
    assert sign_in(address, "ada", PASSWORD)["code"] == 2
    assert open_store(second / "instance", ports).get_object(key) == b"a rendition"
    again.end()


def open_store(folder: Path, ports: dict[str, str]) -> S3Store:
    settings = read_settings(folder, **ports)
    return S3Store(
        endpoint_url=settings.s3_url,
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
    )
