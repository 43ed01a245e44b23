"""Originals for visitors, one alone or a work's as a ZIP, and what is said when OneDrive fails."""

import threading
from collections.abc import Iterator
from urllib.parse import quote

from flask import Flask, Response, current_app, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from imagehub.database import db
from imagehub.domain.library import gallery
from imagehub.domain.sharing import downloads
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceError,
)
from imagehub.gallery import blueprint
from imagehub.gallery.media import get_visible_image
from imagehub.gallery.pictures import get_title, make_group_url
from imagehub.models import Group
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status
from imagehub.wiring import get_clients, get_settings

_SLOTS = "imagehub.zip_slots"
_BUSY_SECONDS = 30.0


def _make_slots(state: BlueprintSetupState) -> None:
    """A ZIP keeps a thread busy for as long as it is sent; half of them stay free for pages."""
    assert isinstance(state.app, Flask)
    count = max(1, get_settings(state.app).web_threads // 2)
    state.app.extensions[_SLOTS] = threading.BoundedSemaphore(count)


blueprint.record_once(_make_slots)


@blueprint.get("/media/full/<biggest:group>/<biggest:number>")
@blueprint.get("/media/full/<biggest:group>/<biggest:number>/<name>")
def show_full_image(group: int, number: int, name: str = "") -> ResponseReturnValue:
    """The original: a redirect to a fresh download URL of OneDrive's, good for minutes.

    ``name`` is there for whoever reads the address or saves the file.
    """
    if not get_settings().downloads and not current_user.is_authenticated:
        raise NotFoundError("page", f"{group}/{number}")
    image, _ = get_visible_image(group, number)
    account_id, item_id = image.drive_account_id, image.drive_item_id
    db.session.rollback()  # OneDrive may take its time; nobody should wait for our reading.
    try:
        url = get_clients().open_drive(account_id).fetch_download_url(item_id)
    except (ConnectionLostError, ServiceError, NotFoundError) as error:
        if isinstance(error, NotFoundError):
            error = NotFoundError("original in OneDrive any more", f"{group}/{number}")
        return show_failure(error, get_visible_image(group, number)[0].group, number)
    response: Response = redirect(url)  # type: ignore[assignment]
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    # The page that comes with a redirect repeats the address, which opens the original to anybody.
    response.set_data(b"")
    return response


@blueprint.get("/groups/<biggest:number>/all.zip")
def download_zip(number: int) -> ResponseReturnValue:
    """All shots of a work as one ZIP, straight from OneDrive."""
    settings = get_settings()
    if not (settings.downloads and settings.zip_downloads) and not current_user.is_authenticated:
        raise NotFoundError("page", "all.zip")
    group = _get_group(number)
    members = downloads.list_members(db.session(), group.id)
    file_name = downloads.tidy_file_name(get_title(group), f"group-{group.id}") + ".zip"
    if request.method == "HEAD":
        return _make_answer(iter(()), file_name)
    slots: threading.BoundedSemaphore = current_app.extensions[_SLOTS]
    if not slots.acquire(blocking=False):
        return show_failure(
            ServiceBusyError(
                "ImageHub",
                "send a ZIP",
                "Several large downloads are on their way just now.",
                _BUSY_SECONDS,
            ),
            group,
        )
    try:
        db.session.rollback()  # Nobody should wait for our reading while the pictures are sent.
        chunks = downloads.open_archive(get_clients(), members)
    except (ConnectionLostError, ServiceError, NotFoundError) as error:
        slots.release()
        return show_failure(error, _get_group(number))
    except BaseException:
        slots.release()
        raise
    return _make_answer(_Sending(chunks, slots), file_name)


def _get_group(number: int) -> Group:
    """The group; an admin may see drafts too."""
    try:
        return gallery.get_shown_group(db.session(), number)
    except NotFoundError:
        group = db.session.get(Group, number) if current_user.is_authenticated else None
        if group is None:
            raise
        return group


def _make_answer(chunks: Iterator[bytes], file_name: str) -> Response:
    response = Response(chunks, mimetype="application/zip")
    plain = file_name.encode("ascii", "replace").decode().replace("?", "_")
    response.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
    )
    response.headers["Cache-Control"] = "no-store"
    # Reverse proxies of nginx's kind would keep gigabytes of it on their disk.
    response.headers["X-Accel-Buffering"] = "no"
    return response


class _Sending:
    """An archive that gives its slot back when it ends, however it ends.

    The server closes it when the visitor has hung up, which closes the download from OneDrive.
    """

    def __init__(self, chunks: Iterator[bytes], slots: threading.BoundedSemaphore) -> None:
        self._chunks = chunks
        self._slots: threading.BoundedSemaphore | None = slots

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        slots, self._slots = self._slots, None
        if slots is not None:
            try:
                self._chunks.close()  # type: ignore[attr-defined]
            finally:
                slots.release()


# --- When OneDrive fails --------------------------------------------------------------------------


def show_failure(
    error: ImageHubError, group: Group, number: int | None = None
) -> ResponseReturnValue:
    """A page that says why an original does not come, when to try again, and where to go on.

    :param number: the shot that was asked for, if it was one.
    :raise ImageHubError: the same error, to a caller who speaks JSON.
    """
    if is_api_call():
        raise error
    shot_url = (
        make_group_url(group)
        if number is None
        else url_for("gallery.show_shot", number=group.id, shot=number)
    )
    rendition_url = (
        ""
        if number is None
        else url_for("gallery.show_media", group=group.id, number=number, size=1920)
    )
    seconds = error.retry_after_seconds if isinstance(error, ServiceBusyError) else 0.0
    page = render_template(
        "gallery/no_download.html",
        title=get_title(group),
        sentence=_explain(error),
        wait=_say_wait(seconds) if seconds else "",
        again_url=request.full_path.rstrip("?") if seconds else "",
        shot_url=shot_url,
        rendition_url=rendition_url,
    )
    response = Response(page, status=get_error_status(error), mimetype="text/html")
    response.headers["Cache-Control"] = "no-store"
    if seconds:
        response.headers["Retry-After"] = str(max(1, round(seconds)))
    return response


def _explain(error: ImageHubError) -> str:
    if isinstance(error, NotFoundError):
        return str(gettext("The original is not where it used to be."))
    if isinstance(error, ConnectionLostError):
        return str(gettext("The store of originals is locked until the owner connects it again."))
    if isinstance(error, ServiceBusyError):
        if error.service == "ImageHub":
            return str(gettext("Several large downloads are on their way just now."))
        return str(gettext("The store of originals is busy or out of reach just now."))
    return str(gettext("The store of originals does not give this one out."))


def _say_wait(seconds: float) -> str:
    if seconds < 90:
        return str(gettext("Please try again in a minute."))
    if seconds < 5400:
        return str(
            gettext("Please try again in %(count)s minutes.", count=-(-round(seconds) // 60))
        )
    return str(gettext("Please try again in %(count)s hours.", count=-(-round(seconds) // 3600)))
