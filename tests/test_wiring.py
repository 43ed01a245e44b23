"""Building the clients from the settings."""

import subprocess
import sys

from imagehub import create_app
from imagehub.clients.graph import GraphDrive
from imagehub.clients.s3 import S3Store
from imagehub.wiring import get_clients
from tests.fixtures.connection import DriveHub
from tests.fixtures.programs import make_environment


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


def test_a_program_loads_no_library_of_the_storage_or_the_queue_before_it_uses_it(
    drive_hub: DriveHub,
) -> None:
    code = (
        "import sys, imagehub; imagehub.create_app();"
        "sys.exit(', '.join(sys.modules.keys() & {'boto3', 'botocore', 'huey', 'redis'}) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=make_environment(**drive_hub.settings.to_environment()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
