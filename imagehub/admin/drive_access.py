"""The way into the drive for the pages that browse and change it, and what they say where it is
closed."""

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.clients import Drive
from imagehub.database import db
from imagehub.domain.onedrive import accounts
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    RootFolderGoneError,
    WriteAccessError,
)
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status, make_error_answer
from imagehub.wiring import get_clients, get_given_settings


def open_drive(for_change: bool = False) -> tuple[int, Drive]:
    """The active account's number and its drive, with the database let go: OneDrive may be slow.

    :raise ConnectionLostError: OneDrive was never connected.
    :raise WriteAccessError: a change is meant, and the hub may only read so far.
    """
    account = accounts.get_active_account(db.session())
    account_id = account.id
    if for_change and not accounts.may_write(account):
        raise WriteAccessError
    opened = get_clients().open_drive(account_id)
    db.session.rollback()
    return account_id, opened


def may_write() -> bool:
    """Whether the hub may change things in OneDrive."""
    account = accounts.find_active_account(db.session())
    return account is not None and accounts.may_write(account)


@blueprint.errorhandler(WriteAccessError)
def _lead_to_access(error: WriteAccessError) -> ResponseReturnValue:
    """Back to the folder, where a note says how the right to change things is given."""
    if is_api_call():
        return make_error_answer(get_error_status(error), str(error))
    return redirect(url_for(".show_drive", item_id=request.form.get("folder") or None))


@blueprint.errorhandler(RootFolderGoneError)
def _lead_to_root_folder(error: RootFolderGoneError) -> ResponseReturnValue:
    """Say what has to be done, wherever the root folder was missed."""
    if is_api_call():
        return make_error_answer(get_error_status(error), str(error))
    return show_trouble(error)


def show_trouble(error: ImageHubError) -> ResponseReturnValue:
    """A page in the place of the folder: why it cannot be shown, and what can be done."""
    page = render_template(
        "admin/drive_trouble.html",
        message=str(error),
        is_lost=isinstance(error, ConnectionLostError),
        is_root_gone=isinstance(error, RootFolderGoneError),
        is_root_given="root_folder" in get_given_settings().given,
        # The address of a form's answer is none to go to.
        again_url=request.full_path if request.method == "GET" else url_for(".show_drive"),
    )
    return page, get_error_status(error)
