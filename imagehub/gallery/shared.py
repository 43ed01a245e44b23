"""Share links: pages with selected groups or a series, drafts too, for whoever has the address."""

from collections.abc import Collection, Sequence
from typing import Any

from flask import Response, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from imagehub.database import db
from imagehub.domain.library import images as library_images
from imagehub.domain.library.credits import get_credits
from imagehub.domain.library.tiles import list_tile_services
from imagehub.domain.sharing import links, shortlists
from imagehub.domain.sharing.shortlists import MarkedWork
from imagehub.domain.sync.state import AWAY
from imagehub.errors import (
    ImageHubError,
    NotAllowedError,
    NotFoundError,
    ShareEndedError,
    TooManyTriesError,
)
from imagehub.gallery import blueprint
from imagehub.gallery.downloads import SIZES
from imagehub.gallery.languages import use_visitors_language
from imagehub.gallery.originals import send_original
from imagehub.gallery.pictures import (
    Picture,
    get_title,
    list_record,
    make_picture,
    make_rendition_url,
)
from imagehub.gallery.shared_series import SharedQuery, describe_place, render_shared_series
from imagehub.gallery.tiles import find_tile_url, make_tiles_base
from imagehub.gallery.videos import send_video
from imagehub.gallery.walls import make_placeholder_css, make_wall
from imagehub.models import Group, Image, ShareLink
from imagehub.web.cookies import read_cookie
from imagehub.web.errors import get_error_status, on_refusal
from imagehub.web.forms import Form, read_form, read_query
from imagehub.web.headers import allow_videos
from imagehub.web.numbers import note, note_download
from imagehub.wiring import get_settings, get_signing_keys

_UNLOCKED = "shares"
_SEEN = "shares_seen"
# The cookie of a visitor who has marked works.
VISITOR = "visitor"
# A session cookie has room for a few entries only; the oldest are removed.
_MAX_REMEMBERED = 20
_STYLE = (
    ".shared-work{padding-block-end:clamp(32px,5vw,72px)}.shared-work h2{font-size:var(--text-l)}"
    ".back{padding:0 var(--side) 16px}.back a{display:inline-block;padding-block:8px}"
)


class UnlockFields(Form):
    password: str = ""


def refuse(error: ImageHubError, token: str, **_: object) -> ResponseReturnValue:
    """Ask for the password again, or say that the link does not open, and offer nothing else."""
    if isinstance(error, NotFoundError):
        if not isinstance(error, ShareEndedError) and error.kind != "share link":
            raise error
        has_ended = isinstance(error, ShareEndedError)
        response = finish(render_template("gallery/share_ended.html", has_ended=has_ended))
        response.status_code = get_error_status(error)
        return response
    response = _ask_password(token, links.get_open_share(db.session(), token), error.sentence)
    response.status_code = 401
    if isinstance(error, TooManyTriesError):
        response.status_code = 429
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


refuses = on_refusal(refuse, NotAllowedError, TooManyTriesError, NotFoundError)


@blueprint.get("/s/<token>")
@refuses
def show_share(token: str) -> ResponseReturnValue:
    """Show the groups or the series of a link, or the form for its password."""
    share = links.get_open_share(db.session(), token)
    if not is_unlocked(share):
        return _ask_password(token, share)
    _count_view(share)
    if share.series_id is not None:
        return finish(
            render_shared_series(token, share, None, read_query(SharedQuery), _list_marked(share)),
            has_forms=share.takes_lists,
        )
    works: list[dict[str, Any]] = []
    css = _STYLE
    marked = _list_marked(share)
    groups = {group.id: group for group in links.list_shared_groups(db.session(), share)}
    of_groups = library_images.list_images_of_groups(db.session(), groups)
    images = {group: of_groups[number] for number, group in groups.items()}
    use_visitors_language([*images, *(image for some in images.values() for image in some)])
    for group, shots in images.items():
        pictures = _make_pictures(token, share, group, shots)
        pictures, wall_css = make_wall(pictures, is_last=True, is_top=not works)
        works.append(
            {"group": group, "pictures": pictures, "record": list_record(group, is_shared=True)}
        )
        css += wall_css
    return _render(token, share, works, css, marked=marked)


@blueprint.get("/s/<token>/series/<db_id:part>")
@refuses
def show_shared_part(token: str, part: int) -> ResponseReturnValue:
    """Show a part of the series of a link."""
    share = links.get_open_share(db.session(), token)
    if not is_unlocked(share):
        return finish(redirect(url_for(".show_share", token=token)))
    if share.series_id is None:
        raise NotFoundError("series", part)
    page = render_shared_series(token, share, part, read_query(SharedQuery), _list_marked(share))
    _count_view(share)
    return finish(page, has_forms=share.takes_lists)


@blueprint.get("/s/<token>/<db_id:number>")
@blueprint.get("/s/<token>/<db_id:number>/<db_id:shot>")
@refuses
def show_shared_work(token: str, number: int, shot: int = 0) -> ResponseReturnValue:
    """Show one work of a link with one of its shots first; a script opens it in the viewer."""
    share = links.get_open_share(db.session(), token)
    if not is_unlocked(share):
        return finish(redirect(url_for(".show_share", token=token)))
    group = links.get_shared_group(db.session(), share, number)
    if shot:
        library_images.get_image(db.session(), group.id, shot)
    # First, since a commit expires what is loaded.
    _count_view(share)
    images = library_images.list_images(db.session(), group.id)
    use_visitors_language([group, *images])
    pictures = _make_pictures(token, share, group, images)
    first = next(one for one in pictures if shot in (0, one.number))
    others = [picture for picture in pictures if picture is not first]
    others, css = make_wall(others, True, wall_share=0.62, may_grow=False)
    css += make_placeholder_css([first]) + f"#{first.id}{{--ratio:{first.ratio:.4f}}}"
    place: dict[str, Any] = {}
    if share.series_id is not None:
        place = describe_place(token, share, group, read_query(SharedQuery).series)
        css += place.pop("neighbours_css", "")
    page = render_template(
        "gallery/shared_work.html",
        token=token,
        share=share,
        group=group,
        title=get_title(group),
        record=list_record(group, is_shared=True),
        credits=get_credits(get_settings(), group),
        first=first,
        others=others,
        is_chosen=shot > 0,
        wall_css=_STYLE + css,
        **place,
        marked=_list_marked(share),
    )
    return finish(page, has_forms=share.takes_lists)


def list_visitor_marks(share: ShareLink) -> list[MarkedWork]:
    """List the works that this visitor has marked."""
    return shortlists.list_marks(db.session(), share, read_cookie(VISITOR))


def _list_marked(share: ShareLink) -> set[int]:
    return {one.group.id for one in list_visitor_marks(share)}


def _make_pictures(
    token: str, share: ShareLink, group: Group, images: Sequence[Image]
) -> list[Picture]:
    """Prepare the shots of a group; the addresses of originals are those of the link."""
    allow_videos()
    pictures = []
    tiled = list_tile_services(db.session(), get_settings(), group, images)
    for position, image in enumerate(images, start=1):
        number, full_url = image.number, ""
        names = {"token": token, "group": group.id, "number": number}
        tiles_url = make_tiles_base(".show_shared_tile", **names) if image.id in tiled else ""
        if share.may_download and image.drive_state not in AWAY:
            full_url = url_for(".download_shared", token=token, group=group.id, number=number)
        picture = make_picture(
            group,
            image,
            f"g{group.id}s{number}",
            position,
            full_url,
            tiles_url,
            is_marked=share.has_mark,
            video_url=url_for(".play_shared", token=token, group=group.id, number=number),
        )
        pictures.append(picture)
    return pictures


@blueprint.post("/s/<token>")
@refuses
def unlock_share(token: str) -> ResponseReturnValue:
    """Check the password of a link, and remember in the session that it was right."""
    share = links.get_open_share(db.session(), token)
    links.check_password(
        db.session(),
        get_signing_keys(),
        share,
        read_form(UnlockFields).password,
        request.remote_addr or "",
    )
    db.session.commit()
    _remember(_UNLOCKED, str(share.id), links.make_password_mark(share))
    return finish(redirect(url_for(".show_share", token=token), 303))


@blueprint.get("/s/<token>/media/<db_id:group>/<db_id:number>/<int:size>")
@refuses
def show_shared_media(token: str, group: int, number: int, size: int) -> ResponseReturnValue:
    """Redirect to a rendition, for a page that is open longer than its signed addresses last."""
    share = links.get_open_share(db.session(), token)
    if not is_unlocked(share) or size not in SIZES:
        raise NotFoundError("page", "")
    links.get_shared_group(db.session(), share, group)
    image = library_images.get_image(db.session(), group, number)
    rendition = library_images.pick_rendition(image, size)
    return finish(redirect(make_rendition_url(rendition, is_marked=share.has_mark)))


@blueprint.get(
    "/s/<token>/iiif/<db_id:group>/<db_id:number>/<region>/<size>/0/default.<any(webp, jpg):ending>"
)
@refuses
def show_shared_tile(
    token: str, group: int, number: int, region: str, size: str, ending: str
) -> ResponseReturnValue:
    """Redirect to a tile of a shared shot."""
    share = links.get_open_share(db.session(), token)
    if not is_unlocked(share):
        raise NotFoundError("page", "")
    links.get_shared_group(db.session(), share, group)
    image = library_images.get_image(db.session(), group, number)
    return finish(redirect(find_tile_url(image, region, size)))


@blueprint.get("/s/<token>/full/<db_id:group>/<db_id:number>")
@refuses
def download_shared(token: str, group: int, number: int) -> ResponseReturnValue:
    """Send the original of a shared shot, if the link allows downloads."""
    share = links.get_open_share(db.session(), token)
    if not is_unlocked(share):
        return finish(redirect(url_for(".show_share", token=token)))
    if not share.may_download:
        raise NotFoundError("page", "")
    links.get_shared_group(db.session(), share, group)
    image = library_images.get_image(db.session(), group, number)
    note_download("share", share.id)
    return finish(send_original(image))


@blueprint.get("/s/<token>/video/<db_id:group>/<db_id:number>")
@refuses
def play_shared(token: str, group: int, number: int) -> ResponseReturnValue:
    """Play a shared video, whether the link allows downloads or not."""
    share = links.get_open_share(db.session(), token)
    if not is_unlocked(share):
        raise NotFoundError("page", "")
    links.get_shared_group(db.session(), share, group)
    return finish(send_video(library_images.get_image(db.session(), group, number)))


def is_unlocked(share: ShareLink) -> bool:
    """Tell whether the link has no password, or this session has entered it."""
    if not share.password_hash:
        return True
    return bool(session.get(_UNLOCKED, {}).get(str(share.id)) == links.make_password_mark(share))


def _ask_password(token: str, share: ShareLink, message: str = "") -> Response:
    """Show the form for the password, and nothing about what the link shows."""
    return _render(token, share, message=message)


def _render(
    token: str,
    share: ShareLink,
    works: Any = None,
    css: str = "",
    message: str = "",
    marked: Collection[int] = (),
) -> Response:
    values = {"token": token, "share": share, "works": works, "message": message, "marked": marked}
    page = render_template("gallery/shared.html", **values, wall_css=css)
    # Without works, it is the form for the password.
    return finish(page, has_forms=works is None or share.takes_lists)


def _count_view(share: ShareLink) -> None:
    """Count a view once for each browser; a HEAD request does not count."""
    note("share", share.id)
    number = str(share.id)
    if request.method == "HEAD" or number in session.get(_SEEN, {}):
        return
    links.count_view(db.session(), share)
    db.session.commit()
    _remember(_SEEN, number, "1")


def _remember(name: str, number: str, mark: str) -> None:
    others = {one: kept for one, kept in session.get(name, {}).items() if one != number}
    session[name] = dict([*others.items(), (number, mark)][-_MAX_REMEMBERED:])


def finish(answer: ResponseReturnValue, *, has_forms: bool = False) -> Response:
    """Add headers against caching, indexing and sending the address to other sites.

    :param has_forms: the check of forms needs the Referer; it is sent to this host only.
    """
    response = make_response(answer)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response.headers["Referrer-Policy"] = "same-origin" if has_forms else "no-referrer"
    return response
