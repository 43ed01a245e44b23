"""Fixtures of the OneDrive tests."""

import pytest

from tests.fixtures.connection import DriveHub


@pytest.fixture
def hub(drive_hub: DriveHub) -> DriveHub:
    """Return a hub on SQLite."""
    return drive_hub


@pytest.fixture
def either_hub(either_drive_hub: DriveHub) -> DriveHub:
    """Return a hub on SQLite, then one on MariaDB."""
    return either_drive_hub
