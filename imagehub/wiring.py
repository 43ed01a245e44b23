"""Build the clients from the settings, and provide both to the application.

They are stored in ``app.extensions["imagehub"]``, not in globals.
"""

import logging
import time
from dataclasses import dataclass, field

from flask import Flask, current_app
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Vault
from imagehub.clients.identity import MicrosoftIdentity
from imagehub.clients.s3 import S3Store
from imagehub.config import Settings, SettingsError
from imagehub.database import db
from imagehub.domain import vault
from imagehub.domain.imports import jobs
from imagehub.domain.site import settings as site_settings
from imagehub.onedrive_access import DriveOpener
from imagehub.queue import enqueue_job

log = logging.getLogger(__name__)


@dataclass
class Hub:
    """The settings and clients of one application.

    ``given`` are the settings of the environment; ``settings`` are these together with those of
    the admin pages, as last read from the database.
    """

    settings: Settings
    clients: Clients | None
    given: Settings = field(init=False)
    asked_at: float = 0.0

    def __post_init__(self) -> None:
        self.given = self.settings


def init_app(app: Flask, settings: Settings, clients: Clients | None) -> None:
    app.extensions["imagehub"] = Hub(settings, clients or make_clients(app, settings))


@event.listens_for(db.session, "after_commit")
def _wake_workers(session: Session) -> None:
    """Send the wake-up calls of jobs whose rows are committed now."""
    for job_id, item_count in jobs.take_jobs_to_wake(session).items():
        enqueue_job(get_settings(), job_id, item_count)


@event.listens_for(db.session, "after_rollback")
def _forget_jobs(session: Session) -> None:
    jobs.take_jobs_to_wake(session)


def get_settings(app: Flask | None = None) -> Settings:
    """Return the settings of an application, without a database query."""
    hub: Hub = (app or current_app).extensions["imagehub"]
    return hub.settings


def get_given_settings(app: Flask | None = None) -> Settings:
    """Return the settings of the environment, without those of the admin pages."""
    hub: Hub = (app or current_app).extensions["imagehub"]
    return hub.given


def refresh_settings(app: Flask | None = None, older_than_seconds: float = 2.0) -> None:
    """Read settings that an admin has changed, in this process or another.

    If the database does not answer, the settings stay as last read.
    """
    hub: Hub = (app or current_app).extensions["imagehub"]
    now = time.monotonic()
    if hub.asked_at and now - hub.asked_at < older_than_seconds:
        return
    hub.asked_at = now
    try:
        with Session(db.engine) as session:
            hub.settings = site_settings.get_site(session, hub.given)
    except SQLAlchemyError:
        log.warning("Could not read the settings of the admin pages")


def get_clients(app: Flask | None = None) -> Clients:
    """Return the clients of this or the current application."""
    hub: Hub = (app or current_app).extensions["imagehub"]
    assert hub.clients is not None
    return hub.clients


def get_vault() -> Vault:
    """Return the vault of the current application."""
    return get_clients().vault


def make_clients(app: Flask, settings: Settings) -> Clients:
    """Build the clients for S3, Microsoft's sign-in and Graph; no service is called."""
    with app.app_context():
        return build_clients(db.engine, settings)


def build_clients(engine: Engine, settings: Settings) -> Clients:
    """As :func:`make_clients`, for a program without a Flask application.

    :raise SettingsError: the settings of the object storage are invalid.
    """
    try:
        store = S3Store(
            endpoint_url=settings.s3_url,
            public_endpoint_url=settings.s3_public_url,
            bucket=settings.s3_bucket,
            region=settings.s3_region,
            access_key_id=settings.s3_access_key_id,
            secret_access_key=settings.s3_secret_access_key,
            presign_window_seconds=settings.presign_window_seconds,
        )
    except ValueError as error:
        raise SettingsError(f"These settings cannot be used:\n  {error}") from error
    drives = DriveOpener(engine, settings)
    drives.clients = Clients(
        store=store,
        identity=MicrosoftIdentity(
            client_id=settings.ms_client_id,
            client_secret=settings.ms_client_secret,
            login_base_url=settings.login_base_url,
            tenant=settings.ms_tenant,
        ),
        open_drive=drives.open_drive,
        open_whole_drive=drives.open_whole_drive,
        vault=vault.Vault(settings.token_key),
    )
    return drives.clients
