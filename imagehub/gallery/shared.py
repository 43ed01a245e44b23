"""Share links: pages with selected groups, including drafts, for whoever has the address."""

from typing import Any

from flask import Response, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from imagehub.database import db
from imagehub.domain.library import images as library_images
from imagehub.domain.sharing import links
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
from imagehub.gallery.originals import send_original
from imagehub.gallery.pictures import (
    Picture,
    get_title,
    list_record,
    make_picture,
)
from imagehub.gallery.walls import make_placeholder_css, make_wall
from imagehub.models import Group, ShareLink
from imagehub.web.errors import get_error_status, on_refusal
from imagehub.web.forms import Form, read_form
from imagehub.wiring import get_clients, get_signing_keys

_UNLOCKED = "shares"
_SEEN = "shares_seen"
# A session cookie has room for a few entries only; the oldest are removed.
_MAX_REMEMBERED = 20
_STYLE = (
    ".shared-work{padding-block-end:clamp(32px,5vw,72px)}.shared-work h2{font-size:var(--text-l)}"
    ".back{padding:0 var(--side) 16px}.back a{display:inline-block;padding-block:8px}"
)


class UnlockFields(Form):
    password: str = ""


def _refuse(error: ImageHubError, token: str, **_: object) -> ResponseReturnValue:
    """Ask for the password again, or say that the link does not open, and offer nothing else."""
    if isinstance(error, NotFoundError):
        if not isinstance(error, ShareEndedError) and error.kind != "share link":
            raise error
        has_ended = isinstance(error, ShareEndedError)
        response = _finish(render_template("gallery/share_ended.html", has_ended=has_ended))
        response.status_code = get_error_status(error)
        return response
    response = _ask_password(token, links.get_open_share(db.session(), token), error.sentence)
    response.status_code = 401
    if isinstance(error, TooManyTriesError):
        response.status_code = 429
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


_refuses = on_refusal(_refuse, NotAllowedError, TooManyTriesError, NotFoundError)


@blueprint.get("/s/<token>")
@_refuses
def show_share(token: str) -> ResponseReturnValue:
    """Show the groups of a link, or the form for its password."""
    share = links.get_open_share(db.session(), token)
    if not _is_unlocked(share):
        return _ask_password(token, share)
    _count_view(share)
    works: list[dict[str, Any]] = []
    css = _STYLE
    for group in links.list_shared_groups(db.session(), share):
        pictures = _make_pictures(token, share, group)
        pictures, wall_css = make_wall(pictures, is_last=True, is_top=not works)
        works.append({"group": group, "pictures": pictures, "record": list_record(group)})
        css += wall_css
    return _render(token, share, works, css)


@blueprint.get("/s/<token>/<db_id:number>")
@blueprint.get("/s/<token>/<db_id:number>/<db_id:shot>")
@_refuses
def show_shared_work(token: str, number: int, shot: int = 0) -> ResponseReturnValue:
    """Show one work of a link with one of its shots first; a script opens it in the viewer."""
    share = links.get_open_share(db.session(), token)
    if not _is_unlocked(share):
        return _finish(redirect(url_for(".show_share", token=token)))
    group = links.get_shared_group(db.session(), share, number)
    pictures = _make_pictures(token, share, group)
    first = next((one for one in pictures if shot in (0, one.number)), None)
    if first is None:
        raise NotFoundError("shot", shot)
    _count_view(share)
    others = [picture for picture in pictures if picture is not first]
    others, css = make_wall(others, True, wall_share=0.62, may_grow=False)
    css += make_placeholder_css([first]) + f"#{first.id}{{--ratio:{first.ratio:.4f}}}"
    page = render_template(
        "gallery/shared_work.html",
        token=token,
        share=share,
        group=group,
        title=get_title(group),
        record=list_record(group),
        first=first,
        others=others,
        is_chosen=shot > 0,
        wall_css=_STYLE + css,
    )
    return _finish(page)


def _make_pictures(token: str, share: ShareLink, group: Group) -> list[Picture]:
    """Prepare the shots of a group; the addresses of originals are those of the link."""
    images = library_images.list_images(db.session(), group.id)
    pictures = []
    for position, image in enumerate(images, start=1):
        number, full_url = image.number, ""
        if share.may_download and image.drive_state not in AWAY:
            full_url = url_for(".download_shared", token=token, group=group.id, number=number)
        pictures.append(make_picture(group, image, f"g{group.id}s{number}", position, full_url))
    return pictures


@blueprint.post("/s/<token>")
@_refuses
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
    return _finish(redirect(url_for(".show_share", token=token), 303))


@blueprint.get("/s/<token>/media/<db_id:group>/<db_id:number>/<int:size>")
@_refuses
def show_shared_media(token: str, group: int, number: int, size: int) -> ResponseReturnValue:
    """Redirect to a rendition, for a page that is open longer than its signed addresses last."""
    share = links.get_open_share(db.session(), token)
    if not _is_unlocked(share) or size not in SIZES:
        raise NotFoundError("page", "")
    links.get_shared_group(db.session(), share, group)
    image = library_images.get_image(db.session(), group, number)
    rendition = library_images.pick_rendition(image, size)
    return _finish(redirect(get_clients().store.make_presigned_url(rendition.object_key)))


@blueprint.get("/s/<token>/full/<db_id:group>/<db_id:number>")
@_refuses
def download_shared(token: str, group: int, number: int) -> ResponseReturnValue:
    """Send the original of a shared shot, if the link allows downloads."""
    share = links.get_open_share(db.session(), token)
    if not _is_unlocked(share):
        return _finish(redirect(url_for(".show_share", token=token)))
    if not share.may_download:
        raise NotFoundError("page", "")
    links.get_shared_group(db.session(), share, group)
    image = library_images.get_image(db.session(), group, number)
    return _finish(send_original(image))


def _is_unlocked(share: ShareLink) -> bool:
    if not share.password_hash:
        return True
    return bool(session.get(_UNLOCKED, {}).get(str(share.id)) == links.make_password_mark(share))


def _ask_password(token: str, share: ShareLink, message: str = "") -> Response:
    """Show the form for the password, and nothing about what the link shows."""
    response = _render(token, share, message=message)
    # The check of forms needs the Referer; it is sent to this host only.
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _render(
    token: str, share: ShareLink, works: Any = None, css: str = "", message: str = ""
) -> Response:
    values = {"token": token, "share": share, "works": works, "message": message}
    return _finish(render_template("gallery/shared.html", **values, wall_css=css))


def _count_view(share: ShareLink) -> None:
    """Count a view once for each browser; a HEAD request does not count."""
    number = str(share.id)
    if request.method == "HEAD" or number in session.get(_SEEN, {}):
        return
    links.count_view(db.session(), share)
    db.session.commit()
    _remember(_SEEN, number, "1")


def _remember(name: str, number: str, mark: str) -> None:
    others = {one: kept for one, kept in session.get(name, {}).items() if one != number}
    session[name] = dict([*others.items(), (number, mark)][-_MAX_REMEMBERED:])


def _finish(answer: ResponseReturnValue) -> Response:
    """Add headers against caching, indexing and sending the address to other sites."""
    response = make_response(answer)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
