"""Send the bytes of a new file to the address of an upload session.

Whoever has such an address can write the file, and it points to other hosts than Graph. So it is
never logged, exceptions that contain it are not chained, and no access token is sent to it.

Source: Microsoft Graph v1.0, "driveItem: createUploadSession".
"""

import logging
from contextlib import suppress
from typing import Any, BinaryIO

import requests

from imagehub import metrics
from imagehub.clients import DriveItem
from imagehub.clients.graph_answers import (
    PASSING_STATUSES,
    make_bad_answer,
    make_busy,
    make_error,
    read_error_codes,
    read_item,
    read_json,
)
from imagehub.clients.graph_http import MAX_ATTEMPTS, GraphCaller, WaitBudget
from imagehub.clients.http import NoAuth, make_session
from imagehub.errors import ServiceBusyError, ServiceError

log = logging.getLogger(__name__)

# A multiple of 320 KiB, as OneDrive demands of all fragments but the last.
FRAGMENT_BYTES = 3_276_800
# Nobody waits for an answer while a command uploads.
_MAX_WAIT_SECONDS = 120.0
_OPERATION = "upload a file"


class FragmentSender:
    """Send files to upload sessions, with the waits and pauses of the account."""

    def __init__(self, caller: GraphCaller) -> None:
        self._caller = caller
        # A separate session that never has a token, so that no mistake can send one.
        self._session = make_session(caller.user_agent)

    def send(
        self, url: str, file: BinaryIO, size_bytes: int, keeps: bool = False, start: int = 0
    ) -> DriveItem:
        """Send a file; after a lost connection, go on where OneDrive has stopped.

        A session that cannot be finished is cancelled, so that nothing of it stays.

        :param keeps: the session stays if this program ends or OneDrive is busy.
        :param start: the first byte that OneDrive does not have.
        :raise ServiceBusyError: it may have arrived all the same.
        :raise ServiceRefusedError: ``quota_full`` …
        """
        try:
            return self._send_all(url, file, size_bytes, start)
        except BaseException as error:
            if keeps and (isinstance(error, ServiceBusyError) or not isinstance(error, Exception)):
                raise
            with suppress(requests.RequestException):
                self._request("DELETE", url)
            raise

    def find_next(self, url: str) -> int | None:
        """Ask an earlier session which byte it expects next; None if it has ended."""
        try:
            response = self._request("GET", url)
        except requests.RequestException:
            # The first fragment finds out, and waits if it has to.
            return 0
        if response.status_code in PASSING_STATUSES:
            return 0
        if response.status_code != 200:
            return None
        with suppress(ServiceError):
            return _read_next(read_json(response, _OPERATION))
        return None

    def _send_all(self, url: str, file: BinaryIO, size_bytes: int, start: int) -> DriveItem:
        budget = WaitBudget(_MAX_WAIT_SECONDS)
        attempt = 0
        while True:
            response = self._send_fragment(url, file, start, size_bytes)
            if response is not None and response.status_code in (200, 201):
                return read_item(read_json(response, _OPERATION), _OPERATION)
            if response is not None and response.status_code == 202:
                following = _read_next(read_json(response, _OPERATION))
                if following <= start:
                    raise make_bad_answer(_OPERATION)
                start, attempt = following, 0
                continue
            # 416: OneDrive has these bytes already, because its answer was lost.
            passes = (*PASSING_STATUSES, 416)
            if response is not None and response.status_code not in passes:
                _raise_refusal(response)
            attempt += 1
            if attempt == MAX_ATTEMPTS:
                raise make_busy(_OPERATION)
            self._caller.wait(budget, _OPERATION, attempt - 1, response)
            start = self._ask_next(url, start)

    def _send_fragment(
        self, url: str, file: BinaryIO, start: int, size_bytes: int
    ) -> requests.Response | None:
        """Send the fragment at ``start``; None if there was no answer."""
        file.seek(start)
        data = file.read(min(FRAGMENT_BYTES, size_bytes - start))
        span = f"bytes {start}-{start + len(data) - 1}/{size_bytes}"
        try:
            return self._request("PUT", url, data=data, headers={"Content-Range": span})
        except requests.RequestException as error:
            log.warning("Cannot %s: %s", _OPERATION, type(error).__name__)
            return None

    def _ask_next(self, url: str, start: int) -> int:
        """Ask which byte OneDrive expects next; ``start`` if it does not answer.

        :raise ServiceBusyError: the session has ended, perhaps because the file is complete.
        """
        try:
            response = self._request("GET", url)
        except requests.RequestException:
            return start
        if response.status_code in (404, 410):
            raise make_busy(_OPERATION)
        if response.status_code != 200:
            return start
        return _read_next(read_json(response, _OPERATION))

    def _request(self, method: str, url: str, **options: Any) -> requests.Response:
        address = self._caller.check_content_url(url, _OPERATION)
        with metrics.measure_graph(_OPERATION) as call:
            response = self._session.request(
                method,
                address,
                auth=NoAuth(),
                timeout=self._caller.timeouts,
                allow_redirects=False,
                **options,
            )
            call.status = response.status_code
        return response


def _read_next(document: Any) -> int:
    """Return the first byte of ``nextExpectedRanges``."""
    ranges = document.get("nextExpectedRanges")
    first = str(ranges[0]).partition("-")[0] if isinstance(ranges, list) and ranges else ""
    if not (first.isascii() and first.isdigit()):
        raise make_bad_answer(_OPERATION)
    return int(first)


def _raise_refusal(response: requests.Response) -> None:
    """:raise ServiceBusyError: the session has ended. :raise ServiceRefusedError: all else."""
    if response.status_code in (404, 410):
        raise make_busy(_OPERATION)
    codes = read_error_codes(response)
    raise make_error(response.status_code, codes, response.text, _OPERATION, "")
