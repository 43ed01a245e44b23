"""Bytes that OneDrive hands out under short-lived addresses: originals and thumbnails.

Such an address lets in whoever knows it and points to other hosts than Graph. So it is never
logged, no exception that names it is passed on, and no access token travels with it.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import urljoin

import requests

from imagehub.clients import Download, DriveItem
from imagehub.clients.graph_http import (
    MAX_ATTEMPTS,
    PASSING_STATUSES,
    SERVICE,
    GraphCaller,
    WaitBudget,
    make_bad_answer_error,
    make_busy_error,
    make_error,
    make_unreachable_error,
)
from imagehub.clients.http import NoAuth, get_origin, make_session
from imagehub.clients.quick_xor import QuickXorHash
from imagehub.errors import PictureTooLargeError, ServiceBusyError, ServiceRefusedError

logger = logging.getLogger(__name__)

_EXPIRED_STATUSES = frozenset({401, 403, 404, 410})
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_MAX_CUTS = 5
# A multiple of 160, which is what the checksum likes best.
_CHUNK_BYTES = 327_680


class ExpiredAddressError(Exception):
    """An address is no longer good; a fresh one may be. Never leaves the clients."""


@dataclass
class Source:
    """Where the bytes of one item come from.

    :param url: secret, good for minutes.
    :param renew: asks Graph for a fresh one.
    """

    url: str = field(repr=False)
    renew: Callable[[], str]
    etag: str = ""
    was_renewed: bool = False


class ByteReader:
    """Read from addresses that Graph named. Waits and pauses are those of the account.

    :param caller: the account's way to Graph.
    """

    def __init__(self, caller: GraphCaller) -> None:
        self._caller = caller
        # A session of its own, which has never had a token, so that no mistake can send one.
        self._session = make_session(caller.user_agent)

    def check_url(self, url: object, operation: str) -> str:
        """Make sure an address may be opened: any https, or the host that Graph itself is on.

        :raise ServiceRefusedError: ``bad_answer``.
        """
        try:
            scheme, host, _ = get_origin(url if isinstance(url, str) else "")
        except ValueError:
            scheme, host = "", ""
        if scheme == "https" or (scheme, host) == self._caller.origin[:2]:
            return str(url)
        raise ServiceRefusedError(
            SERVICE, operation, "bad_answer", "OneDrive gave no address that is safe to use."
        )

    def open_url(
        self, url: str, operation: str, start: int = 0, etag: str = ""
    ) -> requests.Response:
        """Open an address. The caller closes the response.

        :param start: first byte wanted.
        :param etag: of the first part, so that the rest of another version does not follow it.
        :return: a streaming response, 200 or 206 (or 416 where nothing is left to send).
        :raise ExpiredAddressError: a fresh address is needed.
        """
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if etag and not etag.startswith("W/"):
                headers["If-Range"] = etag
        budget = WaitBudget(self._caller.max_wait_seconds)
        busy = make_unreachable_error(operation)
        for attempt in range(MAX_ATTEMPTS):
            self._caller.sit_out_pause(budget, operation)
            try:
                response = self._follow(url, headers, operation)
            except requests.RequestException as error:
                logger.warning("Cannot %s: %s", operation, type(error).__name__)
                busy = make_unreachable_error(operation)
                delay = self._caller.make_delay(attempt)
            else:
                if response.status_code in (200, 206) or (response.status_code == 416 and start):
                    return response
                with response:
                    _raise_if_lasting(response, operation)
                busy = make_busy_error(operation, response)
                delay = self._caller.make_delay(attempt, response)
            budget.spend(delay, busy)
        raise busy

    def open_source(self, source: Source, start: int, operation: str) -> requests.Response:
        """The bytes from ``start`` on; an address that has expired is renewed once.

        :raise ServiceBusyError: the renewed address is no better.
        """
        while True:
            try:
                response = self.open_url(source.url, operation, start, source.etag)
                source.etag = source.etag or response.headers.get("ETag", "")
                return response
            except ExpiredAddressError:
                if source.was_renewed:
                    raise ServiceBusyError(
                        SERVICE, operation, "OneDrive does not give the file just now."
                    ) from None
            source.url = source.renew()
            source.was_renewed = True

    def iter_source(
        self, source: Source, response: requests.Response, chunk_bytes: int, operation: str
    ) -> Generator[bytes, None, None]:
        """All bytes; a connection that is cut is taken up again where it broke off.

        :param response: the source, already opened at its start.
        """
        received = 0
        cuts = 0
        while True:
            skip = _count_repeated(response, received, operation)
            try:
                for chunk in response.iter_content(chunk_bytes):
                    fresh = chunk[skip:]
                    skip -= len(chunk) - len(fresh)
                    if fresh:
                        received += len(fresh)
                        yield fresh
                return
            except requests.RequestException as error:
                cuts += 1
                logger.warning(
                    "Cut off after %d bytes: %s (%d)", received, type(error).__name__, cuts
                )
                if cuts > _MAX_CUTS:
                    raise ServiceBusyError(
                        SERVICE, operation, "The connection to OneDrive breaks again and again."
                    ) from None
            finally:
                response.close()
            time.sleep(min(5.0, self._caller.make_delay(cuts - 1)))
            etag = source.etag
            response = self.open_source(source, received, operation)
            if response.status_code == 416:
                response.close()
                return
            if etag and response.headers.get("ETag", etag) != etag:
                response.close()
                raise ServiceBusyError(SERVICE, operation, "The file changed while it was read.")

    def copy_source(
        self, source: Source, target: BinaryIO, max_bytes: int, operation: str
    ) -> Download:
        """Write all bytes to ``target``.

        :raise PictureTooLargeError: more than ``max_bytes`` came, whatever was listed.
        """
        quick_xor, sha256 = QuickXorHash(), hashlib.sha256()
        first = self.open_source(source, 0, operation)
        with closing(self.iter_source(source, first, _CHUNK_BYTES, operation)) as chunks:
            for chunk in chunks:
                check_size(quick_xor.size_bytes + len(chunk), max_bytes)
                quick_xor.update(chunk)
                sha256.update(chunk)
                target.write(chunk)
        return Download(quick_xor.size_bytes, quick_xor.base64(), sha256.hexdigest())

    def read_small(self, url: str, max_bytes: int, operation: str) -> tuple[bytes, str]:
        """(bytes, content type) of a small file.

        :raise ExpiredAddressError: a fresh address is needed.
        """
        data = bytearray()
        with self.open_url(url, operation) as response:
            try:
                for chunk in response.iter_content(65_536):
                    data += chunk
                    if len(data) > max_bytes:
                        raise make_bad_answer_error(operation)
            except requests.RequestException:
                raise make_unreachable_error(operation) from None
            return bytes(data), response.headers.get("Content-Type", "")

    def _follow(self, url: str, headers: Mapping[str, str], operation: str) -> requests.Response:
        for _ in range(_MAX_REDIRECTS):
            response = self._session.get(
                self.check_url(url, operation),
                headers=headers,
                auth=NoAuth(),
                timeout=self._caller.timeouts,
                stream=True,
                allow_redirects=False,
            )
            if response.status_code not in _REDIRECT_STATUSES:
                return response
            url = urljoin(url, response.headers.get("Location", ""))
            response.close()
        raise ServiceRefusedError(
            SERVICE, operation, "bad_answer", "OneDrive sends in circles instead of to a file."
        )


def check_size(size_bytes: int, max_bytes: int) -> None:
    """:raise PictureTooLargeError: more than allowed."""
    if size_bytes > max_bytes:
        raise PictureTooLargeError(
            f"The file is larger than the {max_bytes / 1_000_000:g} MB that are allowed."
        )


def is_match(download: Download, item: DriveItem) -> bool:
    """Whether the bytes are those that are listed.

    Of HEIC Live Photos the service lists size and hash of the whole container and sends the
    picture alone (OneDrive/onedrive-api-docs#1532), so these are taken as they come.
    """
    is_heic = item.name.lower().endswith((".heic", ".heif"))
    if is_heic or item.mime_type.lower() in ("image/heic", "image/heif"):
        return download.size_bytes > 0
    if download.size_bytes != item.size_bytes:
        return False
    return not item.quick_xor_hash or download.quick_xor_hash == item.quick_xor_hash


def _raise_if_lasting(response: requests.Response, operation: str) -> None:
    """Raise unless the same address may give the bytes a little later."""
    status = response.status_code
    logger.warning("Cannot %s: the file server answers %s", operation, status)
    if response.headers.get("X-Virus-Infected"):
        raise make_error(status, ("malwaredetected",), "", operation, "")
    if status in _EXPIRED_STATUSES:
        raise ExpiredAddressError
    if status not in PASSING_STATUSES:
        raise make_bad_answer_error(operation)


def _count_repeated(response: requests.Response, received: int, operation: str) -> int:
    """How many bytes at the start of an answer came before; all, where it ignores the range."""
    if response.status_code != 206:
        return received
    content_range = response.headers.get("Content-Range", "")
    try:
        start = int(content_range.removeprefix("bytes ").partition("-")[0])
    except ValueError:
        start = -1
    if not 0 <= start <= received:
        response.close()
        raise make_bad_answer_error(operation)
    return received - start
