"""Limit what a request's body may hold, by its address, before anything is read from it."""

from io import BytesIO
from typing import IO, Any

import flask
from flask import request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from imagehub.messages import mark
from imagehub.web.access import PUBLIC_ENDPOINTS

# Of any body; files do not pass through the hub.
MAX_REQUEST_BYTES = 4 * 1024 * 1024
# For people who have signed in, whose forms list the images of a group or the files of an import.
_MAX_FIELDS = 20_000
# For everybody: forms such as the one to sign in.
_MAX_PUBLIC_BYTES = 64 * 1024
_MAX_PUBLIC_FIELDS = 1_000
# Forms with a note on each of 200 works, of 500 characters that take up to twelve bytes each.
_LONG_ENDPOINTS = frozenset(
    {"gallery.mark_shared_work", "gallery.save_shared_list", "gallery.send_shared_list"}
)
_MAX_LONG_BYTES = 1_300_000


class FormParser(FormDataParser):
    """Counts the fields of a form before it makes a dictionary of them."""

    def _parse_urlencoded(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str]
    ) -> Any:
        body = stream.read()
        if self.max_form_parts is not None and body.count(b"&") >= self.max_form_parts:
            raise RequestEntityTooLarge
        return super()._parse_urlencoded(BytesIO(body), mimetype, content_length, options)


class Request(flask.Request):
    form_data_parser_class = FormParser


def set_limits() -> None:
    """Set the limits of this request: small ones where no sign-in is needed."""
    is_public = request.endpoint is None or request.endpoint in PUBLIC_ENDPOINTS
    most_bytes = _MAX_PUBLIC_BYTES if is_public else MAX_REQUEST_BYTES
    request.max_content_length = (
        _MAX_LONG_BYTES if request.endpoint in _LONG_ENDPOINTS else most_bytes
    )
    request.max_form_memory_size = request.max_content_length
    request.max_form_parts = _MAX_PUBLIC_FIELDS if is_public else _MAX_FIELDS


def refuse_deep_json(faults: list[Any]) -> None:
    """Raise BadRequest if pydantic stopped reading JSON because of its depth.

    :param faults: of ``ValidationError.errors()``.
    """
    for fault in faults:
        if fault["type"] == "json_invalid" and "recursion limit" in fault["msg"]:
            raise BadRequest(mark("This JSON is nested too deeply."))
