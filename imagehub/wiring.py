"""Build the clients from the settings, and provide both to the application.

They are stored in ``app.extensions["imagehub"]``, not in globals.
"""

import logging
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, current_app
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Vault
from imagehub.clients.channels import Channel
from imagehub.clients.identity import MicrosoftIdentity
from imagehub.clients.mail import MailChannel, MailServer
from imagehub.clients.s3 import S3Store
from imagehub.clients.webhook import WebhookChannel
from imagehub.config import Settings, SettingsError
from imagehub.database import db
from imagehub.domain import vault
from imagehub.domain.imports import jobs
from imagehub.domain.site import settings as site_settings
from imagehub.domain.vault import SigningKeys
from imagehub.onedrive_access import DriveOpener
from imagehub.queue import enqueue_job

log = logging.getLogger(__name__)


@dataclass
class Hub:
    """The settings and clients of one application.

    ``given`` are the settings of the environment; ``settings`` are these together with those of
    the admin pages, as last read from the database.
    """

    given: Settings
    settings: Settings
    clients: Clients
    asked_at: float = 0.0


def init_app(app: Flask, settings: Settings, clients: Clients | None) -> None:
    if clients is None:
        with app.app_context():
            clients = build_clients(db.engine, settings)
    app.extensions["imagehub"] = Hub(settings, settings, clients)


@event.listens_for(db.session, "after_commit")
def _wake_workers(session: Session) -> None:
    """Send the wake-up calls of jobs whose rows are committed now."""
    for job_id, item_count in jobs.take_jobs_to_wake(session).items():
        enqueue_job(get_settings(), job_id, item_count)


@event.listens_for(db.session, "after_rollback")
def _forget_jobs(session: Session) -> None:
    jobs.take_jobs_to_wake(session)


def _get_hub(app: Flask | None) -> Hub:
    hub: Hub = (app or current_app).extensions["imagehub"]
    return hub


def get_settings(app: Flask | None = None) -> Settings:
    """Return the settings of an application, without a database query."""
    return _get_hub(app).settings


def get_given_settings(app: Flask | None = None) -> Settings:
    """Return the settings of the environment, without those of the admin pages."""
    return _get_hub(app).given


def refresh_settings(app: Flask | None = None, older_than_seconds: float = 2.0) -> bool:
    """Read settings that an admin has changed, in this process or another.

    If the database does not answer, the settings stay as last read.

    :return: whether they are at most that old.
    """
    hub = _get_hub(app)
    now = time.monotonic()
    if hub.asked_at and now - hub.asked_at < older_than_seconds:
        return True
    hub.asked_at = now
    try:
        with Session(db.engine) as session:
            hub.settings = site_settings.get_site(session, hub.given)
    except SQLAlchemyError:
        log.warning("Could not read the settings of the admin pages")
        return False
    return True


def get_clients(app: Flask | None = None) -> Clients:
    """Return the clients of this or the current application."""
    return _get_hub(app).clients


def get_vault() -> Vault:
    """Return the vault of the current application."""
    return get_clients().vault


def get_signing_keys(app: Flask | None = None) -> SigningKeys:
    """Return the keys of sessions and tokens.

    They are read each time: `imagehub rotate-keys` changes those that the hub generated while it
    runs.
    """
    current, *others = get_given_settings(app).read_keys("secret_key")
    return SigningKeys(current, tuple(others))


def build_clients(engine: Engine, settings: Settings, head_start_seconds: float = 0.0) -> Clients:
    """Build the clients for S3, Microsoft's sign-in and Graph; no service is called.

    :param head_start_seconds: see :class:`imagehub.onedrive_access.DriveOpener`.
    :raise SettingsError: the settings of the object storage are invalid.
    """
    try:
        store = S3Store(
            endpoint_url=settings.s3_url,
            public_endpoint_url=settings.s3_public_url,
            is_public_path_removed=settings.uses_embedded_s3,
            bucket=settings.s3_bucket,
            region=settings.s3_region,
            access_key_id=settings.s3_access_key_id,
            secret_access_key=settings.s3_secret_access_key,
            presign_window_seconds=settings.presign_window_seconds,
        )
    except ValueError as error:
        raise SettingsError(f"These settings cannot be used:\n  {error}") from error
    drives = DriveOpener(engine, settings, head_start_seconds)
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
        vault=vault.Vault(lambda: ",".join(settings.read_keys("token_key"))),
    )
    return drives.clients


def build_channels(settings: Settings) -> list[Channel]:
    """Build the ways to all recipients of messages; nothing is connected."""
    server = MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=settings.smtp_password,
        name=urlsplit(settings.public_url).hostname or "",
    )
    channels: list[Channel] = [
        MailChannel(server, settings.smtp_sender, address) for address in settings.notify_emails
    ]
    if settings.notify_webhook_url:
        channels.append(WebhookChannel(settings.notify_webhook_url, settings.notify_webhook_secret))
    return channels
