"""Load the fixtures of ``tests/fixtures``, which has one file per subject."""

import os
from importlib.util import find_spec

from hypothesis import HealthCheck, settings

# Light password hashes, also in the programs that tests start: nearly all tests sign in. It must be
# set before ImageHub is imported.
os.environ["IMAGEHUB_TEST_SCRYPT_N"] = "1024"

# The duration of an example depends on the machine.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

pytest_plugins = [
    "pytester",
    "tests.fixtures.warming",
    "tests.fixtures.lanes",
    "tests.fixtures.order",
    "tests.fixtures.quarantine",
    "tests.fixtures.garbage",
    "tests.fixtures.shortcuts",
    "tests.fixtures.database",
    "tests.fixtures.s3",
    "tests.fixtures.onedrive",
    "tests.fixtures.connection",
    "tests.fixtures.import_rows",
    "tests.fixtures.importing",
    "tests.fixtures.legacy",
    "tests.fixtures.checking",
    "tests.fixtures.planning",
    "tests.fixtures.redis",
    "tests.fixtures.programs",
    "tests.fixtures.package",
    "tests.fixtures.site",
    "tests.fixtures.notified",
    "tests.fixtures.browser",
    "tests.fixtures.served_site",
    "tests.fixtures.either",
    "tests.fixtures.receivers",
]

# They need the extra "sdk"; ``make test-sdk`` installs it.
collect_ignore = [] if find_spec("msgraph") and find_spec("O365") else ["sdk"]
