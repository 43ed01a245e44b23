"""Fixtures of the clients' tests."""

from collections.abc import Iterator

import pytest

from imagehub.clients.graph import GraphDrive
from tests.clients.connected import Connection
from tests.clients.scripted import Answer, ScriptedServer, make_caller, run_scripted_server
from tests.fixtures.onedrive import OneDrive


@pytest.fixture(params=["onedrive", "onedrive_business"], ids=["personal", "business"])
def cloud(request: pytest.FixtureRequest) -> OneDrive:
    """Return an empty personal drive, then an empty business drive."""
    drive: OneDrive = request.getfixturevalue(request.param)
    return drive


@pytest.fixture
def connection(cloud: OneDrive) -> Connection:
    """Sign in to that drive's account."""
    return Connection(cloud)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Serve a business drive with a shortcut, a foreign item, and one without parent."""
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
    """Return that drive without a root folder."""
    return GraphDrive(make_caller(server))
