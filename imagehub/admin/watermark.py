"""The watermark in the settings: its picture, and how it looks on a work before it is saved."""

import tempfile
from dataclasses import replace

from flask import Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from imagehub.admin import act, blueprint, drive
from imagehub.admin.words import return_refused, say
from imagehub.config import Settings, list_fields
from imagehub.database import db, end_read
from imagehub.domain.imports import finishing
from imagehub.domain.imports.site_pictures import Source
from imagehub.domain.imports.watermark import choose_picture, read_rendition
from imagehub.domain.library import finish
from imagehub.domain.site.settings import get_site
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotFoundError,
    ServiceError,
)
from imagehub.imaging.marks import Mark
from imagehub.imaging.once import open_renderer
from imagehub.models import Group, Image
from imagehub.web import commit_action
from imagehub.web.errors import on_refusal
from imagehub.web.forms import Form, FormText, read_form, read_query
from imagehub.wiring import get_clients, get_given_settings, get_settings

_PREVIEW_PX = 960
MARK_FIELDS = (
    "watermark", "watermark_text", "watermark_place", "watermark_strength", "watermark_from_px",
)  # fmt: skip


class _Look(Form):
    """The watermark as it stands in the form."""

    watermark: FormText = ""
    watermark_text: FormText = ""
    watermark_place: FormText = ""
    watermark_strength: FormText = ""
    watermark_from_px: FormText = ""


class _Place(Form):
    """``page``: OneDrive's mark of a page of the folder. ``draft``: see ``settings_draft``."""

    folder: FormText = ""
    page: FormText = ""
    draft: FormText = ""


class _File(_Place):
    item: FormText = ""


def _refuse(error: ImageHubError) -> ResponseReturnValue:
    if isinstance(error, ConnectionLostError | ServiceError):
        return drive.show_trouble(error)
    file = read_form(_File)
    place = {"folder": file.folder or None, "draft": file.draft or None}
    return return_refused(error, url_for(".choose_mark_file", **place))  # type: ignore[arg-type]


def _find_place(draft: str) -> str:
    return url_for(".show_settings", draft=draft or None, _anchor="watermark")


@blueprint.get("/admin/settings/watermark/picture")
@on_refusal(drive.show_trouble, ConnectionLostError, ServiceError)
def choose_mark_file() -> ResponseReturnValue:
    """Show a folder of OneDrive, to choose the picture of the watermark."""
    query = read_query(_Place)
    return render_template(
        "admin/choose_file.html",
        heading=_("Choose the picture of the watermark"),
        words=_(
            "A picture of one colour with a transparent ground becomes light or dark as needed. "
            "The file is fetched once."
        ),
        back=(_find_place(query.draft), _("Settings")),
        here=".choose_mark_file",
        use_url=url_for(".choose_mark_picture"),
        kept={"draft": query.draft} if query.draft else {},
        **drive.describe_choices(query.folder, query.page),
    )


@act(
    "/admin/settings/watermark/picture",
    _refuse,
    InvalidInputError,
    ConnectionLostError,
    ServiceError,
)
def choose_mark_picture() -> ResponseReturnValue:
    """Fetch the picture of the watermark from OneDrive."""
    file = read_form(_File)
    if not file.item:
        raise InvalidInputError("Select a file first.", {"item": "is empty"})
    account_id, opened = drive.open_drive()
    with open_renderer() as renderer:
        source = Source(account_id, file.item)
        name = choose_picture(db.session(), get_clients(), renderer, opened, source)
    commit_action("choose_mark_picture", "site", name=name)
    words = _("The picture is saved. Your other changes are not saved yet.")
    say(words if file.draft else _("Saved."))
    return redirect(_find_place(file.draft), 303)


@blueprint.get("/admin/settings/watermark/preview.webp")
def preview_watermark() -> ResponseReturnValue:
    """Draw the watermark of the form on a work, as its visitors would see it."""
    mark = _read_mark(read_query(_Look))
    image = _find_work()
    if image is None:
        raise NotFoundError("image", "")
    store = get_clients().store
    end_read(db.session())
    data, size_px = read_rendition(store, image, _PREVIEW_PX)
    if mark is not None and size_px >= mark.from_px:
        with open_renderer() as renderer, tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            data = renderer.mark(file.name, mark, size_px)
    response = Response(data, mimetype="image/webp")
    response.headers["Cache-Control"] = "no-store"
    return response


def _read_mark(look: _Look) -> Mark | None:
    """:raise InvalidInputError: a value of the form cannot be used."""
    readers = {item.name: item.metadata["read"] for item in list_fields()}
    try:
        values = {name: readers[name](getattr(look, name)) for name in MARK_FIELDS}
    except (ValueError, ValidationError):
        raise InvalidInputError(_("Some settings cannot be used.")) from None
    settings: Settings = replace(get_settings(), **values)
    return finish.find_finish(db.session(), get_clients(), settings).mark


def _find_work() -> Image | None:
    """Find the cover of the first work of the gallery; else that of any group."""
    for is_shown in (True, False):
        cover = db.session.scalar(
            select(Image)
            .join(Group, Group.cover_id == Image.id)
            .where(Group.is_shown.is_(is_shown), Group.state != "trash")
            .order_by(Group.sort_key.desc(), Group.id.desc())
            .limit(1)
            .options(selectinload(Image.renditions))
        )
        if cover is not None and any(one.mime_type == "image/webp" for one in cover.renditions):
            return cover
    return None


def describe_watermark() -> dict[str, object]:
    """Return what the settings page says about the watermark: its picture, and the progress.

    ``mark_percent``: how many of the images have the finish of today; None if all that can.
    """
    session = db.session()
    picture = finish.find_picture(session)
    progress = finishing.find_progress(session)
    settings = get_site(session, get_given_settings())
    try:
        digest = finish.find_finish(session, get_clients(), settings).digest
    except ImageHubError:
        digest = progress.digest
    percent = None
    if progress.digest != digest:
        percent = 0
    elif not progress.is_done:
        percent = 100 * progress.after_id // progress.last_id
    return {
        "mark_picture": picture.name if picture is not None else "",
        "mark_percent": percent,
        "mark_failed_count": progress.failed_count,
        "has_preview": _find_work() is not None,
    }
