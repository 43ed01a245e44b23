"""What visitors see behind a share link: chosen groups, drafts too, for whoever has the address."""

from dataclasses import replace

from flask import Response, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from imagehub.database import db
from imagehub.domain.library import images as library_images
from imagehub.domain.sharing import links
from imagehub.domain.sync.state import AWAY
from imagehub.errors import NotAllowedError, NotFoundError, TooManyTriesError
from imagehub.gallery import blueprint
from imagehub.gallery.pictures import make_picture, make_wall
from imagehub.models import ShareLink
from imagehub.wiring import get_clients, get_settings

_UNLOCKED = "shares"
_SEEN = "shares_seen"
# A session cookie has room for a few marks only; the oldest go.
_MAX_REMEMBERED = 20
_STYLE = (
    ".shared-work{padding-block-end:clamp(32px,5vw,72px)}.shared-work h2{font-size:var(--text-l)}"
)


@blueprint.get("/s/<token>")
def show_share(token: str) -> ResponseReturnValue:
    """The groups of a link, or the question for its password."""
    share = links.get_open_share(db.session(), token)
    if not _is_unlocked(share):
        return _ask(token, share)
    _count_view(share)
    hung = []
    css = _STYLE
    for group in links.list_shared_groups(db.session(), share):
        pictures = []
        for position, image in enumerate(
            library_images.list_images(db.session(), group.id), start=1
        ):
            picture = make_picture(group, image, f"g{group.id}s{image.number}", position)
            full_url = ""
            if share.may_download and image.drive_state not in AWAY:
                full_url = url_for(
                    ".download_shared", token=token, group=group.id, number=image.number
                )
            pictures.append(replace(picture, full_url=full_url, zoom_url=""))
        placed, wall_css = make_wall(pictures, True)
        hung.append((group, placed))
        css += wall_css
    return _finish(
        render_template(
            "gallery/shared.html", share=share, hung=hung, wall_css=css, token=token, message=""
        )
    )


@blueprint.post("/s/<token>")
def unlock_share(token: str) -> ResponseReturnValue:
    """Take the password of a link, and remember that it was right."""
    database = db.session()
    share = links.get_open_share(database, token)
    mark = links.make_password_mark(share)
    number = str(share.id)
    try:
        links.check_password(
            database,
            get_settings().secret_key,
            share,
            request.form.get("password", ""),
            request.remote_addr or "",
        )
    except (NotAllowedError, TooManyTriesError) as error:
        database.rollback()
        response = _ask(token, links.get_open_share(database, token), str(error))
        response.status_code = 401
        if isinstance(error, TooManyTriesError):
            response.status_code = 429
            response.headers["Retry-After"] = str(error.retry_after_seconds)
        return response
    _remember(_UNLOCKED, number, mark)
    return _finish(redirect(url_for(".show_share", token=token), 303))


@blueprint.get("/s/<token>/full/<biggest:group>/<biggest:number>")
def download_shared(token: str, group: int, number: int) -> ResponseReturnValue:
    """The original of a shared shot, where the link allows it: a redirect to OneDrive."""
    share = links.get_open_share(db.session(), token)
    if not _is_unlocked(share):
        return _finish(redirect(url_for(".show_share", token=token)))
    if not share.may_download or not links.has_group(db.session(), share, group):
        raise NotFoundError("page", "")
    image = library_images.get_image(db.session(), group, number)
    account_id, item_id = image.drive_account_id, image.drive_item_id
    db.session.rollback()  # OneDrive may take its time; nobody should wait for our reading.
    response = redirect(get_clients().open_drive(account_id).fetch_download_url(item_id))
    response.set_data(b"")
    return _finish(response)


def _is_unlocked(share: ShareLink) -> bool:
    if not share.password_hash:
        return True
    return bool(session.get(_UNLOCKED, {}).get(str(share.id)) == links.make_password_mark(share))


def _ask(token: str, share: ShareLink, message: str = "") -> Response:
    """The question for the password; it tells nothing of what is behind."""
    response = _finish(
        render_template(
            "gallery/shared.html", share=share, hung=None, wall_css="", token=token, message=message
        )
    )
    # The form is sent with where it comes from, which forms are checked by; to this host alone.
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _count_view(share: ShareLink) -> None:
    """Once a browser; a HEAD request is no view."""
    number = str(share.id)
    if request.method == "HEAD" or number in session.get(_SEEN, {}):
        return
    links.count_view(db.session(), share)
    db.session.commit()
    _remember(_SEEN, number, "1")


def _remember(name: str, number: str, mark: str) -> None:
    kept = dict(session.get(name, {}))
    kept.pop(number, None)
    kept[number] = mark
    session[name] = dict(list(kept.items())[-_MAX_REMEMBERED:])


def _finish(answer: ResponseReturnValue) -> Response:
    """Kept by nobody, found by nobody, and its address told to nobody."""
    response = make_response(answer)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
