"""Make a series from a folder of the drive."""

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import act, drive
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.imports.folder_series import fetch_folder_tree, make_folder_series
from imagehub.domain.library.series import name_series
from imagehub.domain.onedrive import folders
from imagehub.errors import ConnectionLostError, ImageHubError, NotFoundError
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.forms import read_form
from imagehub.web.i18n import ngettext, translate


def _answer_fault(error: ImageHubError) -> ResponseReturnValue:
    if is_api_call() or isinstance(error, NotFoundError | ConnectionLostError):
        raise error
    say(error.sentence, is_fault=True)
    return redirect(url_for(".show_drive", item_id=read_form(drive.FolderFields).folder or None))


@act("/admin/drive/series", _answer_fault)
def make_series_of_folder() -> ResponseReturnValue:
    """Make a series from a folder, with a part for each folder in it."""
    account_id, opened = drive.open_drive()
    folder_id = read_form(drive.FolderFields).folder
    folder = opened.get_item(folder_id) if folder_id else folders.get_root(opened)
    tree = fetch_folder_tree(opened, folder)
    made = make_folder_series(db.session(), account_id, tree)
    name, number = name_series(made.series), made.series.id
    if made.is_new:
        commit_action("create_series", number, name=name)
    elif made.added_count:
        commit_action("add_to_series", number, name=name, count=made.added_count)
    else:
        # Its folder may be known from now on.
        db.session.commit()
    if made.added_count:
        words = ngettext(
            "Added %(num)s work to “%(name)s”.",
            "Added %(num)s works to “%(name)s”.",
            made.added_count,
            name=translate(name),
        )
    else:
        words = _("“%(name)s” already has all works of this folder.", name=translate(name))
    say(words)
    return redirect(url_for(".show_series_page", number=number), 303)
