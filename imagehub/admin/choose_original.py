"""Choose a file of OneDrive as the original of a shot: a page with folders and image files."""

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import act, blueprint, drive
from imagehub.admin.library_list import name_group
from imagehub.admin.words import say
from imagehub.clients import Drive
from imagehub.clients.drive_ids import is_same_id
from imagehub.database import db
from imagehub.domain.imports import originals
from imagehub.domain.library import groups
from imagehub.domain.library import images as library_images
from imagehub.domain.onedrive import browser
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotFoundError,
    PictureError,
    ServiceError,
)
from imagehub.models import Image
from imagehub.web import commit_action
from imagehub.web.errors import on_refusal
from imagehub.web.forms import Form, FormText, read_form, read_query

_REFUSALS = (InvalidInputError, ConflictError, PictureError, ConnectionLostError, ServiceError)
_ADDRESS = "/admin/library/<db_id:number>/shots/<db_id:shot>/original"


class _PlaceQuery(Form):
    """``folder``: "" for the folder of the current original. ``page``: OneDrive's mark of it."""

    folder: FormText = ""
    page: FormText = ""


class _FileFields(Form):
    """``item``: id of the chosen file; ``folder``: id of the folder whose page holds the form."""

    item: FormText = ""
    folder: FormText = ""


def _find_image(number: int, shot: int) -> Image:
    group = groups.get_group(db.session(), number)
    return library_images.get_image(db.session(), group.id, shot)


def _open_folder(opened: Drive, folder: str, near: str, page: str) -> browser.OpenFolder:
    """Open a folder, or else the one ``near`` the current original, or else the root folder."""
    if folder or not near:
        return browser.open_folder(opened, folder, page)
    try:
        return browser.open_folder(opened, near, page)
    except NotFoundError:
        return browser.open_folder(opened, "", page)


@blueprint.get(_ADDRESS)
@on_refusal(drive.show_trouble, ConnectionLostError, ServiceError)
def choose_original(number: int, shot: int) -> ResponseReturnValue:
    """Show a folder of OneDrive, to choose the original of a shot."""
    query = read_query(_PlaceQuery)
    image = _find_image(number, shot)
    name, near, account_of_image = image.name, image.folder_id, image.drive_account_id
    present_id = image.drive_item_id
    account_id, opened = drive.open_drive()
    near, present_id = (near, present_id) if account_of_image == account_id else ("", "")
    folder = _open_folder(opened, query.folder, near, query.page)
    group = groups.get_group(db.session(), number)
    back = url_for(".show_library_group", number=number, _anchor=f"shot-{shot}")
    return render_template(
        "admin/choose_file.html",
        heading=_("Choose the original"),
        words=_(
            "The chosen file replaces “%(name)s”. The shot keeps its place, alt text and role; its "
            "image is made from the new file.",
            name=drive.show_name(name),
        ),
        back=(back, group.title or _("Untitled")),
        here=".choose_original",
        place={"number": number, "shot": shot},
        use_url=url_for(".use_original", number=number, shot=shot),
        present={item.id for item in folder.items if is_same_id(item.id, present_id)},
        **drive.describe_files(account_id, folder, query.page),
    )


def _refuse(error: ImageHubError, number: int, shot: int) -> ResponseReturnValue:
    if isinstance(error, ConnectionLostError | ServiceError):
        return drive.show_trouble(error)
    say(error.sentence, is_fault=True)
    folder = read_form(_FileFields).folder or None
    return redirect(url_for(".choose_original", number=number, shot=shot, folder=folder), 303)


@act(_ADDRESS, _refuse, *_REFUSALS)
def use_original(number: int, shot: int) -> ResponseReturnValue:
    """Make the chosen file the original of a shot."""
    session, item_id = db.session(), read_form(_FileFields).item
    if not item_id:
        raise InvalidInputError("Select a file first.", {"item": "is empty"})
    _find_image(number, shot)
    account_id, opened = drive.open_drive()
    file = originals.fetch_original(opened, account_id, item_id)
    if originals.use_file(session, _find_image(number, shot), file, current_user.id):
        group = groups.get_group(session, number)
        key, title = f"{number}/{shot}", name_group(group)
        commit_action("use_file", key, name=title, file=drive.show_name(file.file_name))
        say(_("“%(name)s” is being imported.", name=drive.show_name(file.file_name)))
    else:
        say(_("This shot is already being imported."))
    address = url_for(".show_library_group", number=number, _anchor=f"shot-{shot}")
    return redirect(address, 303)
