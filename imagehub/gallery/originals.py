"""Answer with an original: from OneDrive, or through the hub without its private data."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

from flask import Response, current_app, redirect, request
from flask_login import current_user

from imagehub.database import db, end_read
from imagehub.domain.library import private_data
from imagehub.domain.sharing import downloads, originals
from imagehub.errors import NotFoundError, ServiceBusyError
from imagehub.messages import mark
from imagehub.models import Image
from imagehub.web.headers import set_file_name
from imagehub.wiring import get_clients, get_settings

SLOTS = "imagehub.sending_slots"
_MOST_PLAYED_BYTES = 8_000_000


def gets_originals() -> bool:
    """Tell whether this person gets originals as they are: the setting says so, or an admin."""
    return get_settings().downloads == "as-is" or bool(current_user.is_authenticated)


def has_only_rendition(image: Image) -> bool:
    """Tell whether this person gets a rendition in place of an original."""
    return image.private_state == private_data.FIXED and not gets_originals()


def send_original(image: Image, plays_as: str = "") -> Response:
    """Answer with an image's original; ends the read transaction before OneDrive is asked.

    Errors as of :func:`imagehub.domain.sharing.originals.deliver`.

    :param plays_as: the type of a video that is to be played, which nothing can stand for.
    """
    name, mime_type = image.name, image.mime_type
    if image.drive_account_id is None:
        raise NotFoundError(originals.ABSENT_KIND, name)
    if gets_originals():
        account_id, item_id = image.drive_account_id, image.drive_item_id
        end_read(db.session())
        return redirect_to(get_clients().open_drive(account_id).fetch_download_url(item_id))
    (original,) = originals.find_originals(db.session(), [image])
    end_read(db.session())
    clients = get_clients()
    delivery = originals.deliver(clients, original)
    if isinstance(delivery, originals.Replaced):
        if plays_as:
            raise NotFoundError("video", name)
        return redirect_to(clients.store.make_presigned_url(delivery.object_key))
    if isinstance(delivery, originals.Unchanged):
        return redirect_to(delivery.content.url)
    if plays_as:
        return _send_cleaned(delivery, "", plays_as, _MOST_PLAYED_BYTES)
    return _send_cleaned(delivery, name, mime_type)


def redirect_to(url: str) -> Response:
    response: Response = redirect(url)  # type: ignore[assignment]
    # The body of a redirect repeats the address, with which anyone can download the file.
    response.set_data(b"")
    return response


def _send_cleaned(
    cleaned: originals.Cleaned, name: str, mime_type: str, most_bytes: int = 0
) -> Response:
    """Send a file or the part of it that the browser asks for.

    :param name: under which it is saved; "" if it is played.
    :param most_bytes: of one part, so that no thread waits for somebody who watches a video; a
        player asks for the next one. 0 for no limit. Source: RFC 9110, section 14.2.
    """
    size_bytes = cleaned.size_bytes
    etag = cleaned.make_etag()
    wanted = _find_range(size_bytes, etag)
    if wanted and most_bytes:
        wanted = wanted[:most_bytes]
    if wanted is not None and not wanted:
        return Response(status=416, headers={"Content-Range": f"bytes */{size_bytes}"})
    start, end, status = (wanted.start, wanted.stop, 206) if wanted else (0, size_bytes, 200)
    if request.method == "HEAD":
        response = Response(status=status)
    else:
        response = Response(stream(lambda: cleaned.iter_bytes(start, end)), status=status)
    response.headers["Content-Type"] = mime_type or "application/octet-stream"
    response.headers["Content-Length"] = str(end - start)
    if status == 206:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    response.headers["Accept-Ranges"] = "bytes"
    response.set_etag(etag)
    if name:
        set_file_name(response, downloads.tidy_file_name(name))
    return response


def _find_range(size_bytes: int, etag: str) -> range | None:
    """Return the part of a file that is asked for; empty if the file has no such part.

    None for the whole file: also of several parts, of a unit other than bytes, or if the browser
    has a part of another version. A weak validator proves no version. Source: RFC 9110, sections
    13.1.5 and 14.2.
    """
    asked, known = request.range, request.headers.get("If-Range", "").strip()
    if request.method != "GET" or (known and known != f'"{etag}"'):
        return None
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    start, end = asked.ranges[0]
    # The last bytes; more than there are means all of them.
    start = max(0, size_bytes + start) if start < 0 else start
    return range(start, max(start, min(size_bytes, end or size_bytes)))


def stream(open_chunks: Callable[[], Iterator[bytes]]) -> "Sending":
    """Start sending a file through the hub, which occupies a thread until it is sent.

    :param open_chunks: called once a thread may be occupied; its errors can still be answered.
    :raise ServiceBusyError: half of the threads send files already.
    """
    slots = current_app.extensions[SLOTS]
    if not slots.acquire(blocking=False):
        sentence = mark("Too many downloads are running.")
        raise ServiceBusyError("ImageHub", "send a file", sentence)
    with ExitStack() as held:
        held.callback(slots.release)
        chunks = held.enter_context(closing(open_chunks()))  # type: ignore[type-var]
        return Sending(chunks, held.pop_all())


class Sending:
    """A file on its way; releases its slot when it ends, however it ends.

    The server closes it when the visitor disconnects, which ends the download from OneDrive.
    """

    def __init__(self, chunks: Iterator[bytes], held: ExitStack) -> None:
        self._chunks = chunks
        self.close = held.close

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        finally:
            self.close()
