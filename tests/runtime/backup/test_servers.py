"""Saving hubs on MySQL and another S3 by the commands of ``docs/backup.md``."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import create_engine, make_url
from sqlalchemy.orm import Session

from imagehub.runtime.backup.verify import verify_hub
from imagehub.runtime.s3_server import find_rclone
from imagehub.wiring import build_clients
from tests.fixtures.database import GivenServer, MariaDB
from tests.fixtures.importing import ImportHub
from tests.fixtures.s3 import S3Server
from tests.support import ROOT, require

PAGE = (ROOT / "docs" / "backup.md").read_text()


def find_command(name: str) -> list[str]:
    """Return the words of a command of the page, without redirections and comments."""
    line = next(line for line in PAGE.splitlines() if line.startswith(f"{name} "))
    return re.split(r" [>#]", line)[0].split()


def make_client_options(url: str) -> list[str]:
    address = make_url(url)
    options = [f"--user={address.username}"]
    if "unix_socket" in address.query:
        return [*options, f"--socket={address.query['unix_socket']}"]
    options += [f"--host={address.host}", f"--password={address.password or ''}"]
    return [*options, f"--port={address.port or 3306}"]


def test_a_hub_on_servers_is_saved_and_restored_with_their_tools(
    make_import_hub: Callable[..., ImportHub],
    mariadb: MariaDB | GivenServer,
    mariadb_url: str,
    s3_server: S3Server,
) -> None:
    dump, load = require("mariadb-dump"), require("mariadb")
    hub = make_import_hub(mariadb_url)
    assert hub.work(hub.create(hub.put_pictures("Works", 2))) == ["done"] * 2
    hub.session.rollback()

    # The database.
    [_, *options, _] = find_command("mariadb-dump")
    client = make_client_options(mariadb_url)
    database = make_url(mariadb_url).database
    saved = subprocess.run(
        [dump, *client, *options, str(database)], check=True, capture_output=True
    ).stdout
    assert len(options) == 3
    other = mariadb.create_database()
    subprocess.run([load, *client, str(make_url(other).database)], input=saved, check=True)

    # The bucket.
    [_, *words] = find_command("rclone")
    bucket = f"{hub.settings.s3_bucket}-copy"
    places = [f"hub:{hub.settings.s3_bucket}", f"backup:{bucket}"]
    assert words == ["sync", "hub:imagehub", "backup:imagehub"]
    variables = {
        f"RCLONE_CONFIG_{remote}_{name}": value
        for remote in ("HUB", "BACKUP")
        for name, value in {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ENDPOINT": s3_server.endpoint_url,
            "ACCESS_KEY_ID": s3_server.access_key_id,
            "SECRET_ACCESS_KEY": s3_server.secret_access_key,
        }.items()
    }
    subprocess.run(
        [str(find_rclone()), "--config=/dev/null", "sync", *places],
        env=os.environ | variables,
        check=True,
    )

    settings = replace(hub.settings, database_url=other, s3_bucket=bucket)
    engine = create_engine(other)
    with Session(engine) as session:
        found = verify_hub(session, build_clients(engine, settings), print, None, True)
        assert (found.counts, found.object_count) == ({}, len(hub.list_keys()))
    engine.dispose()
