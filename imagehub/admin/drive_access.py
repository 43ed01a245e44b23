"""Open the drive for the pages of the drive browser, and answer when that is not possible."""

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.admin.root_folder_pages import is_root_given
from imagehub.clients import Drive
from imagehub.database import db, end_read
from imagehub.domain.onedrive import accounts
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    RootFolderGoneError,
    WriteAccessError,
)
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status, make_error_answer
from imagehub.web.forms import Form, FormText, read_form
from imagehub.web.i18n import translate
from imagehub.wiring import get_clients


class FolderFields(Form):
    """``folder``: id of the folder whose page holds the form; "" for the root folder."""

    folder: FormText = ""


def open_drive(for_change: bool = False) -> tuple[int, Drive]:
    """Give the active account's id and its drive; end the transaction, since OneDrive may be slow.

    :raise ConnectionLostError: OneDrive was never connected.
    :raise WriteAccessError: ``for_change``, and ImageHub may only read.
    """
    account = accounts.get_active_account(db.session())
    account_id = account.id
    if for_change and not accounts.may_write(account):
        raise WriteAccessError
    opened = get_clients().open_drive(account_id)
    end_read(db.session())
    return account_id, opened


def may_write() -> bool:
    """Tell whether ImageHub may change things in OneDrive."""
    account = accounts.find_active_account(db.session())
    return account is not None and accounts.may_write(account)


@blueprint.errorhandler(WriteAccessError)
def _lead_to_access(error: WriteAccessError) -> ResponseReturnValue:
    """Go back to the folder, whose page has a button that allows changes."""
    if is_api_call():
        return make_error_answer(get_error_status(error), error.sentence)
    return redirect(url_for(".show_drive", item_id=read_form(FolderFields).folder or None))


@blueprint.errorhandler(RootFolderGoneError)
def _lead_to_root_folder(error: RootFolderGoneError) -> ResponseReturnValue:
    """Show what to do if the root folder is gone."""
    if is_api_call():
        return make_error_answer(get_error_status(error), error.sentence)
    return show_trouble(error)


def show_trouble(error: ImageHubError) -> ResponseReturnValue:
    """Show a page in place of the folder: why it cannot be shown, and what to do."""
    page = render_template(
        "admin/drive_trouble.html",
        message=translate(error.sentence),
        is_lost=isinstance(error, ConnectionLostError),
        is_root_gone=isinstance(error, RootFolderGoneError),
        is_root_given=is_root_given(),
        # The address of a form cannot be opened as a page.
        again_url=request.full_path if request.method == "GET" else url_for(".show_drive"),
    )
    return page, get_error_status(error)
