"""Read originals and thumbnails from the short-lived addresses that OneDrive gives.

Whoever has such an address can use it, and it points to other hosts than Graph. So it is never
logged, exceptions that contain it are not chained, and no access token is sent to it.
"""

import base64
import hashlib
import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import BinaryIO
from urllib.parse import urljoin

import requests

from imagehub import metrics
from imagehub.clients import Download, DriveItem
from imagehub.clients.graph_answers import (
    PASSING_STATUSES,
    make_bad_answer,
    make_busy,
    make_error,
    make_unreachable,
)
from imagehub.clients.graph_http import MAX_ATTEMPTS, GraphCaller, WaitBudget
from imagehub.clients.http import NoAuth, make_session
from imagehub.errors import PictureTooLargeError
from imagehub.messages import Message, mark

log = logging.getLogger(__name__)

_EXPIRED_STATUSES = frozenset({401, 403, 404, 410})
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_MAX_CUTS = 5
# A multiple of 160, for which the hash is fastest.
_CHUNK_BYTES = 327_680


class ExpiredAddressError(Exception):
    """An address has expired; a new one may work. Never leaves the clients."""


@dataclass
class Source:
    """Where to read the content of one item.

    :param operation: verb phrase for errors and the log.
    :param url: secret, valid for minutes.
    :param renew: fetches a new one from Graph.
    """

    operation: str
    url: str = field(repr=False)
    renew: Callable[[], str]
    etag: str = ""
    was_renewed: bool = False


class ByteReader:
    """Read from addresses that Graph returned, with the waits and pauses of the account."""

    def __init__(self, caller: GraphCaller) -> None:
        self._caller = caller
        # A separate session that never has a token, so that no mistake can send one.
        self._session = make_session(caller.user_agent)

    def _open_url(
        self, url: str, operation: str, start: int = 0, etag: str = "", end: int | None = None
    ) -> requests.Response:
        """Open an address. The caller closes the response.

        :param start: first byte to read; up to ``end``, exclusive, if it is given.
        :param etag: of the first part, so that the rest is not read from another version.
        :return: a streaming response, 200 or 206 (or 416 if nothing is left to send).
        :raise ExpiredAddressError: a new address is needed.
        """
        headers = {"Accept-Encoding": "identity"}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if etag and not etag.startswith("W/"):
                headers["If-Range"] = etag
        budget = WaitBudget(self._caller.max_wait_seconds)
        for attempt in range(MAX_ATTEMPTS):
            self._caller.sit_out_pause(budget, operation)
            try:
                response = self._follow(url, headers, operation)
            except requests.RequestException as error:
                log.warning("Cannot %s: %s", operation, type(error).__name__)
                busy = self._caller.wait(budget, operation, attempt)
            else:
                if response.status_code in (200, 206) or (
                    response.status_code == 416 and "Range" in headers
                ):
                    return response
                with response:
                    _raise_if_lasting(response, operation)
                busy = self._caller.wait(budget, operation, attempt, response)
        raise busy

    def open_source(
        self, source: Source, start: int = 0, end: int | None = None
    ) -> requests.Response:
        """Open the content from ``start`` on; an expired address is renewed once.

        :raise ServiceBusyError: the renewed address does not work either.
        """
        while True:
            try:
                response = self._open_url(source.url, source.operation, start, source.etag, end)
                source.etag = source.etag or response.headers.get("ETag", "")
                return response
            except ExpiredAddressError:
                if source.was_renewed:
                    sentence = mark("OneDrive is not sending this file at the moment.")
                    raise make_busy(source.operation, sentence) from None
            source.url = source.renew()
            source.was_renewed = True

    def iter_source(
        self,
        source: Source,
        response: requests.Response,
        chunk_bytes: int,
        start: int = 0,
        end: int | None = None,
    ) -> Generator[bytes, None, None]:
        """Iterate over the content; a broken connection is resumed where it ended.

        :param response: the source, already opened at ``start``, up to ``end`` if it is given.
        """
        received = start
        cuts = 0
        while True:
            skip = _count_repeated(response, received, source.operation)
            try:
                for chunk in response.iter_content(chunk_bytes):
                    fresh = chunk[skip:]
                    skip -= len(chunk) - len(fresh)
                    # The server may have ignored the range.
                    fresh = fresh if end is None else fresh[: end - received]
                    if fresh:
                        received += len(fresh)
                        yield fresh
                    if received == end:
                        return
                return
            except requests.RequestException as error:
                cuts += 1
                log.warning(
                    "Connection lost after %d bytes: %s (%d)", received, type(error).__name__, cuts
                )
                if cuts > _MAX_CUTS:
                    sentence = mark("The connection to OneDrive keeps breaking.")
                    raise make_busy(source.operation, sentence) from None
            finally:
                response.close()
            time.sleep(min(5.0, self._caller.make_delay(cuts - 1)))
            etag = source.etag
            response = self.open_source(source, received, end)
            if response.status_code == 416:
                response.close()
                return
            if etag and response.headers.get("ETag", etag) != etag:
                response.close()
                sentence = mark("The file changed while it was being read.")
                raise make_busy(source.operation, sentence)

    def copy_source(self, source: Source, target: BinaryIO, max_bytes: int) -> Download:
        """Write the content to ``target``.

        :raise PictureTooLargeError: more than ``max_bytes`` were sent, whatever was listed.
        """
        quick_xor, sha256 = QuickXorHash(), hashlib.sha256()
        first = self.open_source(source)
        with closing(self.iter_source(source, first, _CHUNK_BYTES)) as chunks:
            for chunk in chunks:
                check_size(quick_xor.size_bytes + len(chunk), max_bytes)
                quick_xor.update(chunk)
                sha256.update(chunk)
                target.write(chunk)
        return Download(quick_xor.size_bytes, quick_xor.base64(), sha256.hexdigest())

    def read_small(self, url: str, max_bytes: int, operation: str) -> tuple[bytes, str]:
        """Return (bytes, content type) of a small file.

        :raise ExpiredAddressError: a new address is needed.
        """
        data = bytearray()
        with self._open_url(url, operation) as response:
            try:
                for chunk in response.iter_content(65_536):
                    data += chunk
                    if len(data) > max_bytes:
                        raise make_bad_answer(operation)
            except requests.RequestException:
                raise make_unreachable(operation) from None
            return bytes(data), response.headers.get("Content-Type", "")

    def _follow(self, url: str, headers: Mapping[str, str], operation: str) -> requests.Response:
        for _ in range(_MAX_REDIRECTS):
            address = self._caller.check_content_url(url, operation)
            with metrics.measure_graph(operation) as call:
                response = self._session.get(
                    address,
                    headers=headers,
                    auth=NoAuth(),
                    timeout=self._caller.timeouts,
                    stream=True,
                    allow_redirects=False,
                )
                call.status = response.status_code
            if response.status_code not in _REDIRECT_STATUSES:
                return response
            url = urljoin(url, response.headers.get("Location", ""))
            response.close()
        raise make_bad_answer(operation, mark("OneDrive redirects endlessly."))


def check_size(size_bytes: int, max_bytes: int) -> None:
    """:raise PictureTooLargeError: more than allowed."""
    if size_bytes > max_bytes:
        limit = f"{max_bytes / 1_000_000:g}"
        raise PictureTooLargeError(
            Message("This file is larger than the limit of %(limit)s MB.", limit=limit)
        )


def add_listing(download: Download, item: DriveItem) -> Download:
    """Add what is listed for a downloaded file, and whether its content is that."""
    return replace(
        download,
        listed_hash=item.quick_xor_hash,
        listed_size_bytes=item.size_bytes,
        is_as_listed=_is_match(download, item),
    )


def _is_match(download: Download, item: DriveItem) -> bool:
    """Return whether the downloaded content has the listed hash, or else the listed size.

    The service lists a wrong size of some JPEG files, 11 or 12 bytes off, with the right hash
    (microsoftgraph/microsoft-graph-docs-contrib#8903). Of HEIC Live Photos it lists size and hash
    of the whole container but sends only the picture (OneDrive/onedrive-api-docs#1532), so these
    are not compared.
    """
    is_heic = item.name.lower().endswith((".heic", ".heif"))
    if is_heic or item.mime_type.lower() in ("image/heic", "image/heif"):
        return download.size_bytes > 0
    if item.quick_xor_hash:
        return download.quick_xor_hash == item.quick_xor_hash
    return download.size_bytes == item.size_bytes


def _raise_if_lasting(response: requests.Response, operation: str) -> None:
    """Raise unless the same address may work a little later."""
    status = response.status_code
    log.warning("Cannot %s: the file server answers %s", operation, status)
    if response.headers.get("X-Virus-Infected"):
        raise make_error(status, ["malwaredetected"], "", operation, "")
    if status in _EXPIRED_STATUSES:
        raise ExpiredAddressError
    if status not in PASSING_STATUSES:
        raise make_bad_answer(operation)


def _count_repeated(response: requests.Response, received: int, operation: str) -> int:
    """Count the bytes at the start of an answer that were received before.

    All of them, if the server ignored the range.
    """
    if response.status_code != 206:
        return received
    content_range = response.headers.get("Content-Range", "")
    try:
        start = int(content_range.removeprefix("bytes ").partition("-")[0])
    except ValueError:
        start = -1
    if not 0 <= start <= received:
        response.close()
        raise make_bad_answer(operation)
    return received - start


# --- The hash -------------------------------------------------------------------------------------

_WIDTH_BITS = 160
_SHIFT_BITS = 11
# Byte i is placed at bit 11·i mod 160, so the pattern repeats after 160 bytes.
_PERIOD_BYTES = 160
_PERIOD_BITS = 8 * _PERIOD_BYTES


class QuickXorHash:
    """The only hash that OneDrive provides for both personal and business files.

    Add bytes in pieces of any size, read the result at any time. Bytes that are 160 apart are
    placed at the same bits, so whole pieces are first XORed as big integers, which is fast, and
    only the remaining 160 bytes are rotated one by one. Pieces whose size is a multiple of 160 are
    fastest.

    Source: learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash.
    """

    def __init__(self) -> None:
        self._sum = 0
        self.size_bytes = 0

    def update(self, data: bytes) -> None:
        offset = self.size_bytes % _PERIOD_BYTES
        self._sum ^= int.from_bytes(data, "little") << (8 * offset)
        self.size_bytes += len(data)

    def base64(self) -> str:
        """Return the 20 bytes of the hash as Graph writes them."""
        folded, rest = 0, self._sum
        size_bits = rest.bit_length()
        # Halve while that saves work, then fold the periods one by one.
        while size_bits > 64 * _PERIOD_BITS:
            half = -(-size_bits // (2 * _PERIOD_BITS)) * _PERIOD_BITS
            rest = (rest >> half) ^ (rest & ((1 << half) - 1))
            size_bits = rest.bit_length()
        while rest:
            folded ^= rest & ((1 << _PERIOD_BITS) - 1)
            rest >>= _PERIOD_BITS
        total = 0
        for index, byte in enumerate(folded.to_bytes(_PERIOD_BYTES, "little")):
            total ^= byte << (_SHIFT_BITS * index % _WIDTH_BITS)
        # The high bits of a byte near the top continue at the bottom.
        total = (total & ((1 << _WIDTH_BITS) - 1)) ^ (total >> _WIDTH_BITS)
        total ^= self.size_bytes << (_WIDTH_BITS - 64)
        return base64.b64encode(total.to_bytes(_WIDTH_BITS // 8, "little")).decode("ascii")
