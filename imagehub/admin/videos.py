"""Videos on the page of their group, and stills that are to become videos."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import act, blueprint
from imagehub.admin.words import describe_size, say
from imagehub.database import db
from imagehub.domain.imports import stills
from imagehub.domain.library import private_data
from imagehub.domain.sync.state import AWAY
from imagehub.errors import InvalidInputError
from imagehub.imaging.video import HINTS, MIME_TYPES, format_length
from imagehub.models import Image
from imagehub.web import commit_action
from imagehub.web.headers import allow_videos
from imagehub.web.i18n import ngettext
from imagehub.wiring import get_settings


@dataclass(frozen=True)
class ShotVideo:
    """A video as admins see it.

    ``url``: "" if its original is away. ``facts``: length, size, codec and sound. ``hint``: what
    visitors may not be able to play, "" if there is nothing to say; marked for translation.
    ``is_hidden``: visitors see only the still.
    """

    url: str
    mime_type: str
    poster_url: str
    length: str
    facts: str
    hint: str
    is_hidden: bool


blueprint.add_app_template_filter(format_length, "video_length")


def describe_video(image: Image) -> ShotVideo:
    """Describe a video, and let the page play it."""
    allow_videos()
    shot = {"number": image.group_id, "shot": image.number}
    still = {"group": image.group_id, "number": image.number, "size": 960}
    length = format_length(image.duration_ms)
    facts = (
        length,
        describe_size(image.size_bytes) if image.size_bytes else "",
        image.video_codec,
        _("with sound") if image.has_sound else _("without sound"),
    )
    return ShotVideo(
        url="" if image.drive_state in AWAY else url_for("gallery.play_video", **shot),  # type: ignore[arg-type]
        mime_type=MIME_TYPES.get(image.mime_type, image.mime_type),
        poster_url=url_for("gallery.show_media", **still),  # type: ignore[arg-type]
        length=length,
        facts=" · ".join(fact for fact in facts if fact),
        hint=HINTS.get(image.video_codec, ""),
        is_hidden=image.private_state == private_data.FIXED and get_settings().downloads != "as-is",
    )


# --- Stills of videos -----------------------------------------------------------------------------


def play_stills(groups: Sequence[int] | None = None) -> None:
    """Import videos again that are shown as stills, so that they play; commits.

    :param groups: numbers of groups; all when None.
    :raise InvalidInputError: there is none.
    """
    count = stills.play_stills(db.session(), current_user.id, groups)
    if not count:
        say(_("These videos are already being imported."))
        return
    commit_action("play_videos", groups[0] if groups and len(groups) == 1 else "", count=count)
    words = ngettext(
        "%(num)s video is being imported. It will play once that is done.",
        "%(num)s videos are being imported. Each will play once that is done.",
        count,
    )
    say(words)


def _refuse(error: InvalidInputError) -> ResponseReturnValue:
    say(error.sentence, is_fault=True)
    return redirect(url_for("admin.show_home"), 303)


@act("/admin/videos/play", _refuse, InvalidInputError)
def play_all_stills() -> ResponseReturnValue:
    """Import all videos again that are shown as stills."""
    play_stills()
    return redirect(url_for("admin.show_home"), 303)
