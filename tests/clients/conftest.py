"""Fixtures of the clients' tests."""

import pytest

from tests.clients.connected import Connection
from tests.fixtures.onedrive import OneDrive


@pytest.fixture(params=["personal", "business"])
def cloud(request: pytest.FixtureRequest) -> OneDrive:
    """An empty personal drive in one run of a test, a business drive in the next."""
    name = "onedrive" if request.param == "personal" else "onedrive_business"
    drive: OneDrive = request.getfixturevalue(name)
    return drive


@pytest.fixture
def connection(cloud: OneDrive) -> Connection:
    """The account of that drive, signed in."""
    return Connection(cloud)
