"""Redirect to renditions and originals, send ZIP files of works, show why a download failed."""

import threading
from collections.abc import Iterable

from flask import Flask, Response, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from imagehub.database import db, end_read
from imagehub.domain.library import gallery
from imagehub.domain.library import images as library_images
from imagehub.domain.sharing import downloads, originals
from imagehub.errors import (
    SIGN_IN,
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceError,
    ServiceRefusedError,
)
from imagehub.gallery import blueprint
from imagehub.gallery.originals import (
    SLOTS,
    gets_originals,
    send_original,
    stream,
)
from imagehub.gallery.pictures import get_title, make_group_url, make_rendition_url
from imagehub.gallery.videos import send_video
from imagehub.models import Group, Image
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status
from imagehub.web.headers import set_file_name
from imagehub.web.i18n import make_translator, translate
from imagehub.web.numbers import note_download
from imagehub.web.public_path import get_here
from imagehub.wiring import get_clients, get_settings

# How long a redirect may be cached: much less than its target is valid, and so short that an
# unpublished picture does not stay reachable.
_REDIRECT_SECONDS = 300
SIZES = (480, 720, 960, 1920)


def _make_slots(state: BlueprintSetupState) -> None:
    """Limit what passes through the hub to half of the threads, as each occupies one."""
    assert isinstance(state.app, Flask)
    count = max(1, get_settings(state.app).web_threads // 2)
    state.app.extensions[SLOTS] = threading.BoundedSemaphore(count)


blueprint.record_once(_make_slots)


# --- Single images --------------------------------------------------------------------------------


@blueprint.get("/media/<db_id:group>/<db_id:number>/<int:size>")
@blueprint.get("/media/<db_id:group>/<db_id:number>/<int:size>.webp")
def show_media(group: int, number: int, size: int) -> ResponseReturnValue:
    """Redirect to a rendition; for feeds, previews and embeds, whose addresses must not expire.

    Scripts of all sites may read what is published, as viewers of manifests do.
    """
    if size not in SIZES:
        raise NotFoundError("size", size)
    image, is_shown = _get_visible_image(group, number)
    rendition = library_images.pick_rendition(image, size)
    response = redirect(make_rendition_url(rendition))
    response.headers["Cache-Control"] = (
        f"public, max-age={_REDIRECT_SECONDS}" if is_shown else "private, no-store"
    )
    if is_shown:
        response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _get_visible_image(group_number: int, number: int) -> tuple[Image, bool]:
    """Return an image, and whether it is published; only an admin can see others."""
    try:
        return gallery.get_shown_image(db.session(), group_number, number)[1], True
    except NotFoundError:
        if not current_user.is_authenticated:
            raise
        return library_images.get_image(db.session(), group_number, number), False


@blueprint.get("/media/full/<db_id:group>/<db_id:number>")
@blueprint.get("/media/full/<db_id:group>/<db_id:number>/<name>")
def show_full_image(group: int, number: int, name: str = "") -> ResponseReturnValue:
    """Send an original: by a redirect to OneDrive, whose address is valid for minutes, if it can.

    :param name: not used; it makes the address readable and names the saved file.
    """
    if not get_settings().has_downloads and not current_user.is_authenticated:
        raise NotFoundError("page", f"{group}/{number}")
    image, _ = _get_visible_image(group, number)
    note_download("group", image.group_id)
    try:
        response = send_original(image)
    except (ConnectionLostError, ServiceError, NotFoundError) as error:
        if isinstance(error, NotFoundError) and error.kind != originals.ABSENT_KIND:
            error = NotFoundError("original in OneDrive any more", f"{group}/{number}")
        return show_failure(error, _get_visible_image(group, number)[0].group, number)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.get("/groups/<db_id:number>/<db_id:shot>/video")
def play_video(number: int, shot: int) -> ResponseReturnValue:
    """Play a video, if possible by a redirect to OneDrive, whose address is valid for minutes."""
    image, _ = _get_visible_image(number, shot)
    try:
        return send_video(image)
    except (ConnectionLostError, ServiceError, NotFoundError) as error:
        if isinstance(error, NotFoundError) and error.kind == "video":
            raise
        if isinstance(error, NotFoundError) and error.kind != originals.ABSENT_KIND:
            error = NotFoundError("original in OneDrive any more", f"{number}/{shot}")
        return show_failure(error, _get_visible_image(number, shot)[0].group, shot)


# --- ZIP files ------------------------------------------------------------------------------------


@blueprint.get("/groups/<db_id:number>/all.zip")
def download_zip(number: int) -> ResponseReturnValue:
    """Send all originals of a work as a ZIP file, read from OneDrive while it is sent."""
    settings = get_settings()
    if (
        not (settings.has_downloads and settings.zip_downloads)
        and not current_user.is_authenticated
    ):
        raise NotFoundError("page", "all.zip")
    group = _get_group(number)
    note_download("group", group.id)
    members = downloads.list_members(
        db.session(), group.id, as_is=gets_originals(), note_name=translate(downloads.NOTE_NAME)
    )
    file_name = downloads.tidy_file_name(get_title(group), f"group-{group.id}") + ".zip"
    if request.method == "HEAD":
        return _make_answer(iter(()), file_name)
    end_read(db.session())
    try:
        chunks = stream(lambda: downloads.open_archive(get_clients(), members, make_translator()))
    except (ConnectionLostError, ServiceError, NotFoundError) as error:
        return show_failure(error, _get_group(number))
    return _make_answer(chunks, file_name)


def _get_group(number: int) -> Group:
    """Return a group; an admin can also see drafts."""
    try:
        return gallery.get_shown_group(db.session(), number)
    except NotFoundError:
        group = db.session.get(Group, number) if current_user.is_authenticated else None
        if group is None:
            raise
        return group


def _make_answer(chunks: Iterable[bytes], file_name: str) -> Response:
    response = Response(chunks, mimetype="application/zip")
    set_file_name(response, file_name)
    return response


# --- Failed downloads -----------------------------------------------------------------------------


def show_failure(
    error: ImageHubError, group: Group, number: int | None = None
) -> ResponseReturnValue:
    """Show a page that says why a download failed and when to try again.

    :param number: the requested shot, None for all of them.
    :raise ImageHubError: the same error, for a caller that expects JSON.
    """
    if is_api_call():
        raise error
    shot_url, rendition_url = make_group_url(group), ""
    if number is not None:
        shot_url = url_for("gallery.show_shot", number=group.id, shot=number)
        rendition_url = url_for("gallery.show_media", group=group.id, number=number, size=1920)
    seconds = error.retry_after_seconds if isinstance(error, ServiceBusyError) else 0.0
    page = render_template(
        "gallery/no_download.html",
        title=get_title(group),
        sentence=_explain(error),
        wait=_describe_wait(seconds) if seconds else "",
        again_url=get_here() if seconds else "",
        shot_url=shot_url,
        rendition_url=rendition_url,
    )
    response = Response(page, status=get_error_status(error), mimetype="text/html")
    response.headers["Cache-Control"] = "no-store"
    if seconds:
        response.headers["Retry-After"] = str(max(1, round(seconds)))
    return response


def _explain(error: ImageHubError) -> str:
    if isinstance(error, NotFoundError) and error.kind == originals.ABSENT_KIND:
        return str(gettext("The original is not in OneDrive."))
    if isinstance(error, NotFoundError):
        return str(gettext("The original is no longer in OneDrive."))
    if isinstance(error, ConnectionLostError):
        return str(gettext("OneDrive is not available until its owner reconnects it."))
    if isinstance(error, ServiceRefusedError) and error.service == SIGN_IN:
        return str(gettext("OneDrive is not available until its owner has restored access to it."))
    if not isinstance(error, ServiceBusyError):
        return str(gettext("OneDrive refuses to send this file."))
    if error.service == "ImageHub":
        return translate(error.sentence)
    return str(gettext("OneDrive is busy or cannot be reached at the moment."))


def _describe_wait(seconds: float) -> str:
    if seconds < 90:
        return str(gettext("Please try again in a minute."))
    minutes = -(-round(seconds) // 60)
    if seconds < 5400:
        return str(gettext("Please try again in %(count)s minutes.", count=minutes))
    return str(gettext("Please try again in %(count)s hours.", count=-(-minutes // 60)))
