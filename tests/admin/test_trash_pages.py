"""The trash of the library, without a script."""

import socket
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from imagehub.database import db, now_utc
from imagehub.models import Group, StoredObject
from tests.admin.library import LIST
from tests.admin.pages import read_toasts, send
from tests.fixtures.site import Site, make_site


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


@pytest.fixture
def group_id(site: Site) -> int:
    return site.add_group(["a.jpg", "b.jpg", "c.jpg"])


def test_permanently_deleted_groups_cannot_be_restored(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    send(client, f"{LIST}/delete", LIST, group=str(group_id))
    assert "The whole group, 3 shots" in client.get(f"{LIST}/trash").text
    send(client, f"{LIST}/trash/delete", f"{LIST}/trash", number=str(group_id))
    with site.session() as session:
        assert session.get(Group, group_id) is None
    send(client, f"{LIST}/trash/restore", f"{LIST}/trash", number=str(group_id))
    assert "This entry is not in the trash" in read_toasts(client)


def test_permanent_deletion_does_not_wait_for_object_storage(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # It takes calls and never answers; one that comes stays to be seen.
        silent.setblocking(False)
        site = make_site(
            tmp_path / "site",
            s3_endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
            s3_access_key_id="key",
            s3_secret_access_key="secret",
        )
        client = site.signed_in_client()
        number = site.add_group(["a.jpg"])
        send(client, f"{LIST}/delete", LIST, group=str(number))
        send(client, f"{LIST}/trash/delete", f"{LIST}/trash", number=str(number))
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert "The worker removes the files from object storage" in read_toasts(client)
    with site.session() as session:
        rows = session.query(StoredObject).all()
        assert rows
        assert all(row.is_deleting and row.pinned_until <= now_utc() for row in rows)
        db.engine.dispose()
