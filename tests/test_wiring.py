"""Building the clients from the settings."""

from imagehub import create_app
from imagehub.clients.graph import GraphDrive
from imagehub.clients.s3 import S3Store
from imagehub.wiring import get_clients
from tests.fixtures.connection import DriveHub


def test_an_application_is_wired_from_its_settings_without_calling_anybody(
    drive_hub: DriveHub,
) -> None:
    app = create_app(drive_hub.settings)
    clients = get_clients(app)
    assert isinstance(clients.store, S3Store)
    assert isinstance(clients.open_drive(1), GraphDrive)
    assert [e for e in drive_hub.onedrive.log() if "/_emulator" not in e["path"]] == []


def test_clients_never_show_a_secret(drive_hub: DriveHub) -> None:
    shown = repr(drive_hub.clients)
    for secret in (
        drive_hub.settings.ms_client_secret,
        drive_hub.settings.token_key,
        drive_hub.settings.s3_secret_access_key,
    ):
        assert secret
        assert secret not in shown
