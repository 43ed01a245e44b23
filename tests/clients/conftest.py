"""Fixtures of the clients' tests."""

from collections.abc import Iterator

import pytest

from imagehub.clients.graph import GraphDrive
from tests.clients.connected import Connection
from tests.clients.scripted import Answer, ScriptedServer, make_caller, run_scripted_server
from tests.fixtures.onedrive import OneDrive


@pytest.fixture(params=["onedrive", "onedrive_business"], ids=["personal", "business"])
def cloud(request: pytest.FixtureRequest) -> OneDrive:
    """An empty personal drive in one run of a test, a business drive in the next."""
    drive: OneDrive = request.getfixturevalue(request.param)
    return drive


@pytest.fixture
def connection(cloud: OneDrive) -> Connection:
    """The account of that drive, signed in."""
    return Connection(cloud)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A business drive with an item that only points elsewhere, one of another drive, and one that
    does not tell where it is."""
    with run_scripted_server() as script:
        parent = {"driveId": "d", "id": "root-id"}
        script.say("/v1.0/me/drive", Answer(200, {"id": "d", "driveType": "business"}))
        script.say(
            "/v1.0/me/drive/root",
            Answer(200, {"id": "root-id", "name": "root", "folder": {}, "root": {}}),
        )
        script.say(
            "/v1.0/me/drive/items/shortcut",
            Answer(200, {"id": "shortcut", "remoteItem": {}, "parentReference": parent}),
        )
        script.say(
            "/v1.0/me/drive/items/foreign",
            Answer(200, {"id": "foreign", "file": {}, "parentReference": {"driveId": "other"}}),
        )
        script.say("/v1.0/me/drive/items/lost", Answer(200, {"id": "lost", "file": {}}))
        yield script


@pytest.fixture
def scripted_drive(server: ScriptedServer) -> GraphDrive:
    """That drive, with nothing closed."""
    return GraphDrive(make_caller(server))
