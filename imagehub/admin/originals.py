"""Acts on originals that were changed in OneDrive, are missing, or are outside the root folder."""

from collections.abc import Sequence

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import act, blueprint
from imagehub.admin.words import say
from imagehub.database import db, end_read
from imagehub.domain.imports import jobs, originals
from imagehub.domain.onedrive import accounts as onedrive_accounts
from imagehub.domain.sync import schedule
from imagehub.domain.sync.schedule import WatchInfo
from imagehub.domain.sync.state import AWAY, CHANGED
from imagehub.errors import InvalidInputError
from imagehub.web import commit_action
from imagehub.web.access import get_local_target
from imagehub.web.forms import Form, FormText, read_form
from imagehub.web.i18n import ngettext


@blueprint.app_template_global("describe_originals")
def describe_originals() -> tuple[WatchInfo, bool] | None:
    """Describe the last check of OneDrive, and whether it is connected; None if it never was."""
    account = onedrive_accounts.find_active_account(db.session())
    if account is None:
        return None
    watch = schedule.describe_watch(db.session(), account.id)
    return watch, account.state == onedrive_accounts.CONNECTED


class _CheckFields(Form):
    next: FormText = ""


@blueprint.post("/admin/connection/check-originals")
def check_originals() -> ResponseReturnValue:
    """Start a check of OneDrive now, and go on to the page ``next``."""
    session = db.session()
    accounts = schedule.list_watched_accounts(session)
    end_read(session)
    for account_id in accounts:
        schedule.ask_for_check(session, account_id)
    if accounts:
        commit_action("check_originals")
        say(_("OneDrive is being checked. This page shows when the check is done."))
    else:
        words = _(
            "There is nothing to check: OneDrive is not connected, or no images were imported from "
            "it."
        )
        say(words)
    home = url_for("admin.show_connection")
    return redirect(get_local_target(read_form(_CheckFields).next, home=home), 303)


def use_new_versions(groups: Sequence[int], shots: Sequence[int] | None = None) -> None:
    """Import the changed originals of groups again; commits.

    :param groups: numbers of groups.
    :param shots: only shots with these numbers; all when None.
    :raise InvalidInputError: none of them is changed.
    """
    session = db.session()
    ids = schedule.list_images(session, [CHANGED], groups, shots)
    if not ids:
        raise InvalidInputError("None of these images has changed in OneDrive.")
    count = jobs.take_new_versions(session, ids, current_user.id)
    if not count:
        say(_("The new versions are already being imported."))
        return
    commit_action("use_new_versions", groups[0] if len(groups) == 1 else "", count=count)
    words = ngettext(
        "%(num)s new version is being imported.", "%(num)s new versions are being imported.", count
    )
    say(words)


def use_offered(
    groups: Sequence[int] | None = None, shots: Sequence[int] | None = None, item_id: str = ""
) -> None:
    """Use the files in the places of missing originals; commits.

    :param groups: numbers of groups; all when None.
    :param shots: only shots with these numbers; all when None.
    :param item_id: only the images that this file is offered for.
    :raise InvalidInputError: there is none.
    """
    session = db.session()
    ids = originals.list_offers(session, groups, shots, item_id)
    if not ids:
        raise InvalidInputError("There is no longer a file in the place of a missing original.")
    count = originals.use_offered(session, ids, current_user.id)
    if not count:
        say(_("These files are already being imported."))
        return
    commit_action("use_offered", groups[0] if groups and len(groups) == 1 else "", count=count)
    say(ngettext("%(num)s file is being imported.", "%(num)s files are being imported.", count))


class _OfferFields(Form):
    """``use``: id of a file that is offered; "" for all of them. ``folder``: of the drive page."""

    use: FormText = ""
    folder: FormText = ""


def _refuse_offer(error: InvalidInputError) -> ResponseReturnValue:
    say(error.sentence, is_fault=True)
    return redirect(_get_origin(), 303)


def _get_origin() -> str:
    fields = read_form(_OfferFields)
    if fields.use:
        return url_for("admin.show_drive", item_id=fields.folder or None)
    return url_for("admin.show_home")


@act("/admin/originals/use-offered", _refuse_offer, InvalidInputError)
def use_offered_files() -> ResponseReturnValue:
    """Use the files in the places of missing originals, or one of them."""
    use_offered(item_id=read_form(_OfferFields).use)
    return redirect(_get_origin(), 303)


def check_again(groups: Sequence[int], shots: Sequence[int] | None = None) -> None:
    """Ask OneDrive again for originals that are missing or outside the root folder; commits.

    :raise InvalidInputError: none of them is missing or outside.
    """
    session = db.session()
    ids = schedule.list_images(session, AWAY, groups, shots)
    end_read(session)
    if not ids:
        raise InvalidInputError(
            "None of these originals is missing in OneDrive or outside the root folder."
        )
    schedule.check_again(session, ids)
    commit_action("check_images", groups[0] if len(groups) == 1 else "", count=len(ids))
    words = ngettext(
        "%(num)s original is being checked again.",
        "%(num)s originals are being checked again.",
        len(ids),
    )
    say(words)
