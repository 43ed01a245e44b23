"""``imagehub doctor``: check everything a hub needs and say what is wrong."""

import logging
from collections.abc import Callable, Iterator

from imagehub import create_app
from imagehub.config import Settings
from imagehub.database import db
from imagehub.errors import ImageHubError
from imagehub.runtime.doctor.data import (
    check_admin,
    check_charsets,
    check_clock,
    check_database,
    check_migrations,
    check_replica,
    check_store,
    check_the_queue,
)
from imagehub.runtime.doctor.findings import Facts, Finding
from imagehub.runtime.doctor.machine import (
    check_folder,
    check_public_address,
    check_settings,
    check_tiles,
)
from imagehub.runtime.doctor.outside import (
    check_expiry_dates,
    check_messages,
    check_notifications,
    check_onedrive,
)

log = logging.getLogger(__name__)

# The names of checks, and of those that must not have found a fault before.
CHECKS: tuple[tuple[str, Callable[[Settings], Iterator[Facts]], tuple[str, ...]], ...] = (
    ("settings", check_settings, ()),
    ("public address", check_public_address, ()),
    ("data folder", check_folder, ()),
    ("database", check_database, ()),
    ("migrations", check_migrations, ("database",)),
    ("replica", check_replica, ("database", "migrations")),
    ("characters", check_charsets, ("database",)),
    ("admins", check_admin, ("database", "migrations")),
    ("object storage", check_store, ()),
    ("clock", check_clock, ("database",)),
    ("queue", check_the_queue, ("database", "migrations")),
    ("OneDrive", check_onedrive, ("database", "migrations")),
    ("notifications", check_notifications, ("database", "migrations", "OneDrive")),
    ("expiry dates", check_expiry_dates, ("database", "migrations")),
    ("deep zoom", check_tiles, ("database", "migrations")),
    ("messages", check_messages, ()),
)


def run_checks(settings: Settings) -> list[Finding]:
    """Run all checks in order; a check that raises becomes a fault.

    :raise SettingsError: the clients cannot be built from the settings.
    """
    findings: list[Finding] = []
    with create_app(settings).app_context():
        for name, check, needs in CHECKS:
            faulty = [one.name for one in findings if one.name in needs and one.state == "fault"]
            if faulty:
                sentence = f"Not checked: fix the {faulty[0]} first."
                findings.append(Finding(name, "warning", sentence))
                continue
            try:
                findings.extend(Finding(name, *facts) for facts in check(settings))
            except ImageHubError as error:
                findings.append(Finding(name, "fault", str(error)))
            except Exception as error:
                log.debug("The check “%s” failed", name, exc_info=True)
                sentence = f"The check failed: {type(error).__name__}."
                findings.append(Finding(name, "fault", sentence))
            finally:
                db.session.rollback()
        db.session.remove()
        db.engine.dispose()
    return findings
