"""Select the root folder, the only one that ImageHub may see."""

from datetime import timedelta

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import blueprint
from imagehub.admin.words import say
from imagehub.database import db, end_read
from imagehub.domain.onedrive import accounts, browser
from imagehub.domain.site import settings
from imagehub.domain.sync import root_change, schedule
from imagehub.errors import ConnectionLostError, NotAllowedError
from imagehub.web import note_action
from imagehub.web.forms import Checkbox, Form, FormText, read_form, read_query
from imagehub.wiring import get_clients, get_given_settings

# Other processes cache the root folder for a second; an earlier check would use the old one.
_CACHE_TIME = timedelta(seconds=2)


class ChoiceQuery(Form):
    """``folder``: the folder to look into, "" for the topmost. ``page``: OneDrive's mark."""

    folder: FormText = ""
    page: FormText = ""


class RootFields(Form):
    """``folder``: the new root folder, "" for all of OneDrive. ``sure``: the person confirmed."""

    folder: FormText = ""
    sure: Checkbox = False


@blueprint.get("/admin/connection/root-folder")
def choose_root_folder() -> ResponseReturnValue:
    """Show the folders of the whole drive."""
    if is_root_given():
        say(_("The root folder is set by IMAGEHUB_ROOT_FOLDER on the server. Change it there."))
        return redirect(url_for("admin.show_connection"))
    query = read_query(ChoiceQuery)
    account_id = _get_open_account()
    choice = browser.list_choice(
        get_clients().open_whole_drive(account_id), query.folder, query.page
    )
    return render_template(
        "admin/root_folder.html",
        crumbs=[{"id": "", "name": "OneDrive"}, *choice.way],
        folders=choice.folders,
        next_page=choice.next_page,
        folder_id=query.folder,
        root=settings.get_root_folder(db.session(), get_given_settings(), account_id),
    )


@blueprint.post("/admin/connection/root-folder")
def save_root_folder() -> ResponseReturnValue:
    """Set the root folder.

    If originals of images are outside that folder, a page says so and asks for a confirmation.
    """
    account_id = _get_open_account()
    fields = read_form(RootFields)
    words = settings.WHOLE_DRIVE
    if fields.folder:
        whole = get_clients().open_whole_drive(account_id)
        folder = browser.find_folder(whole, fields.folder)
        words = browser.make_path(whole, folder)
        if not fields.sure:
            left = root_change.count_left_outside(db.session(), account_id, whole, folder.id)
            if left.outside or left.unknown:
                return render_template(
                    "admin/root_folder_sure.html", folder=folder, words=words, left=left
                )
    settings.set_root_folder(db.session(), get_given_settings(), account_id, fields.folder, words)
    note_action("set_root_folder", fields.folder, name=words)
    # Originals may be inside now that were outside, and the other way round.
    schedule.ask_for_check(db.session(), account_id, _CACHE_TIME)
    db.session.commit()
    if fields.folder:
        say(_("ImageHub now sees only %(path)s.", path=words))
    else:
        say(_("ImageHub now sees all of OneDrive."))
    return redirect(url_for("admin.show_connection"))


def is_root_given() -> bool:
    """Tell whether the root folder is set on the server, so that it cannot be selected here."""
    return "root_folder" in get_given_settings().given


def _get_open_account() -> int:
    """Give the connected account's id.

    :raise NotAllowedError: the root folder is set on the server.
    :raise ConnectionLostError: OneDrive is not connected.
    """
    if is_root_given():
        raise NotAllowedError(
            "The root folder is set by IMAGEHUB_ROOT_FOLDER on the server. Change it there."
        )
    account = accounts.get_active_account(db.session())
    if account.state != accounts.CONNECTED:
        raise ConnectionLostError(account=account.username)
    account_id = account.id
    end_read(db.session())
    return account_id
