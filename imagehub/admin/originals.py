"""What an admin does about originals that were changed in OneDrive, are missing there, or lie
outside the root folder."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.admin import blueprint
from imagehub.admin.words import describe_count, say
from imagehub.database import db
from imagehub.domain.imports import remakes
from imagehub.domain.onedrive import accounts as onedrive_accounts
from imagehub.domain.sync import schedule
from imagehub.domain.sync.schedule import WatchInfo
from imagehub.domain.sync.state import AWAY, CHANGED
from imagehub.errors import InvalidInputError
from imagehub.queue import enqueue_job
from imagehub.web import note_action
from imagehub.web.access import get_local_target
from imagehub.wiring import get_settings


@dataclass(frozen=True)
class OriginalsInfo:
    """``interval_minutes``: how often the worker looks by itself; 0: it does not."""

    watch: WatchInfo
    interval_minutes: int
    is_connected: bool


@blueprint.app_template_global("describe_originals")
def describe_originals() -> OriginalsInfo | None:
    """When OneDrive was last looked through; None before the first connection."""
    session = db.session()
    account = onedrive_accounts.find_active_account(session)
    if account is None:
        return None
    return OriginalsInfo(
        schedule.describe_watch(session, account.id),
        get_settings().drive_check_minutes,
        account.state == onedrive_accounts.CONNECTED,
    )


@blueprint.post("/admin/connection/check-originals")
def check_originals() -> ResponseReturnValue:
    """Have a worker look through OneDrive now; ``next``: where to go on to."""
    session = db.session()
    accounts = schedule.list_watched_accounts(session)
    session.rollback()
    for account_id in accounts:
        schedule.ask_for_check(session, account_id)
    if accounts:
        words = "Asked for a look through OneDrive for changed and missing originals."
        note_action("check", "connection", "originals", words)
        session.commit()
        say("The worker looks through OneDrive now. This page tells when it is done.")
    else:
        say("There is nothing to look for: OneDrive is not connected, or no image came from it.")
    home = url_for("admin.show_connection")
    return redirect(get_local_target(request.form.get("next", ""), home=home), 303)


def take_new_versions(groups: Sequence[int], shots: Sequence[int] | None = None) -> None:
    """Make the renditions of changed shots again from their originals; commits.

    :param groups: numbers of groups.
    :param shots: only shots of these numbers.
    :raise InvalidInputError: none of them is changed.
    """
    session = db.session()
    ids = schedule.list_images(session, [CHANGED], groups, shots)
    if not ids:
        raise InvalidInputError("None of these is changed in OneDrive.")
    count, jobs = remakes.take_new_versions(session, ids, current_user.id)
    if count:
        words = f"Took the new version of {describe_count(count, 'image')} from OneDrive."
        note_action("change", "image", groups[0] if len(groups) == 1 else "", words)
    session.commit()
    for job_id in jobs:
        enqueue_job(get_settings(), job_id, count)
    if count:
        say(f"{describe_count(count, 'new version')} on the way. It takes a second or two each.")
    else:
        say("They are on the way already.")


def check_again(groups: Sequence[int], shots: Sequence[int] | None = None) -> None:
    """Ask OneDrive once more for shots that are missing or lie outside; commits.

    :raise InvalidInputError: none of them is or does.
    """
    session = db.session()
    ids = schedule.list_images(session, AWAY, groups, shots)
    session.rollback()
    if not ids:
        raise InvalidInputError("None of these is missing in OneDrive or outside the root folder.")
    schedule.check_again(session, ids)
    words = f"Asked for {describe_count(len(ids), 'original')} that OneDrive did not give again."
    note_action("check", "image", groups[0] if len(groups) == 1 else "", words)
    session.commit()
    say(f"The worker asks OneDrive for {describe_count(len(ids), 'original')} again.")
