"""Watch folders of OneDrive, whose new files are imported automatically."""

from typing import Any

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import act, blueprint, drive
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.imports.grouping import WAYS
from imagehub.domain.library.series import get_series, name_series
from imagehub.domain.onedrive import browser, folders
from imagehub.domain.sync import watched_folders
from imagehub.errors import ConnectionLostError, ImageHubError, InvalidInputError, NotFoundError
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.forms import Checkbox, Form, FormText, Id, OptionalId, read_form
from imagehub.web.i18n import translate

# Without a group to add to, and without one group for everything that ever comes.
WATCH_WAYS = {name: way.label for name, way in WAYS.items() if name not in ("one", "existing")}


class WatchFields(drive.FolderFields):
    """``way``: how files are grouped. ``publish``: new groups are published at once.

    ``series``: the series that new groups join.
    """

    way: FormText = "folder"
    series: OptionalId("series") = None  # type: ignore[valid-type]
    publish: Checkbox = False


class WatchSeriesFields(Form):
    """The series that new groups of a watched folder join; None for none."""

    watch: Id("watched folder")  # type: ignore[valid-type]
    series: OptionalId("series") = None  # type: ignore[valid-type]


class UnwatchFields(Form):
    """``folder``: go back to the page of this folder; "" for the connection page."""

    watch: Id("watched folder")  # type: ignore[valid-type]
    folder: FormText = ""


def describe_watch(account_id: int, folder_id: str) -> dict[str, Any] | None:
    """Describe the watch on a folder for its page: the number and a sentence; None if none."""
    watched = watched_folders.find_watch(db.session(), account_id, folder_id)
    if watched is None:
        return None
    if watched.is_published:
        words = _("New files in this folder are imported automatically and published.")
    else:
        words = _("New files in this folder are imported automatically as drafts.")
    return {"id": watched.id, "words": words}


def _answer_fault(error: ImageHubError) -> ResponseReturnValue:
    if is_api_call() or isinstance(error, NotFoundError | ConnectionLostError):
        raise error
    say(error.sentence, is_fault=True)
    return redirect(url_for(".show_drive", item_id=read_form(drive.FolderFields).folder or None))


@act("/admin/drive/watch", _answer_fault)
def watch_folder() -> ResponseReturnValue:
    """Watch a folder and the folders below it."""
    account_id, opened = drive.open_drive()
    fields = read_form(WatchFields)
    if fields.way not in WATCH_WAYS:
        raise InvalidInputError("This way of grouping does not exist.", {"way": "unknown"})
    root = folders.get_root(opened)
    folder = opened.get_item(fields.folder) if fields.folder else root
    if not folder.is_folder:
        raise InvalidInputError("This is not a folder.", {"item": "is not a folder"})
    names = [crumb.name for crumb in browser.make_crumbs(opened, root, folder)]
    path = drive.show_name("/".join(names[1:]) or root.name)
    session = db.session()
    series = get_series(session, fields.series).id if fields.series is not None else None
    watched_folders.watch_folder(
        session, account_id, current_user.id, folder, path, fields.way, fields.publish, series
    )
    commit_action("watch_folder", folder.id, name=path)
    say(_("New files in “%(name)s” are imported automatically from now on.", name=path))
    return redirect(url_for(".show_drive", item_id=folder.id), 303)


@blueprint.post("/admin/connection/watch-series")
def set_watch_series() -> ResponseReturnValue:
    """Set the series that new groups of a watched folder join."""
    session, fields = db.session(), read_form(WatchSeriesFields)
    series = get_series(session, fields.series) if fields.series is not None else None
    watched = watched_folders.set_watch_series(session, fields.watch, fields.series)
    path = watched.path
    commit_action("change_watch", watched.item_id, name=path)
    if series is None:
        say(_("New files in “%(name)s” are no longer added to a series.", name=path))
    else:
        names = {"name": path, "title": translate(name_series(series))}
        say(_("New files in “%(name)s” are added to the series “%(title)s”.", **names))
    return redirect(url_for(".show_connection", _anchor="watched-head"), 303)


@blueprint.post("/admin/connection/unwatch")
def unwatch_folder() -> ResponseReturnValue:
    """Stop watching a folder; what was imported stays."""
    fields = read_form(UnwatchFields)
    watched = watched_folders.unwatch_folder(db.session(), fields.watch)
    path = watched.path
    commit_action("unwatch_folder", watched.item_id, name=path)
    say(_("New files in “%(name)s” are no longer imported automatically.", name=path))
    if fields.folder:
        return redirect(url_for(".show_drive", item_id=fields.folder), 303)
    return redirect(url_for(".show_connection", _anchor="watched-head"), 303)
