"""Turn errors into pages or JSON."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, g, jsonify
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError
from werkzeug.exceptions import HTTPException

from imagehub.database import db, describe_outage, explain_data_error
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    PictureError,
    ServiceBusyError,
    ServiceRefusedError,
    ShareEndedError,
    TooManyTriesError,
)
from imagehub.messages import mark
from imagehub.web.access import find_view, is_api_call
from imagehub.web.i18n import translate
from imagehub.web.templating import render_without_database

View = TypeVar("View", bound=Callable[..., Any])

log = logging.getLogger(__name__)

STATUS_OF_ERROR: tuple[tuple[type[ImageHubError], int], ...] = (
    (InvalidInputError, 422),
    (NotAllowedError, 403),
    (TooManyTriesError, 429),
    (ShareEndedError, 410),
    (NotFoundError, 404),
    (ConflictError, 409),
    (PictureError, 422),
    (ConnectionLostError, 409),
    (ServiceBusyError, 503),
    (ServiceRefusedError, 502),
)


def make_error_answer(
    status: int,
    message: str,
    detail: Any = None,
    headers: dict[str, str] | None = None,
    is_lost: bool = False,
) -> Response:
    """Answer an error with a page, or ``{"detail": …}`` if JSON is expected.

    :param is_lost: OneDrive must be connected again. The page links there, and a header tells
        scripts, because the status alone could be another conflict.
    """
    if is_api_call():
        # The JSON API is in English; scripts of our pages show the sentence in the page's language.
        text = message if getattr(find_view(), "is_api", False) else translate(message)
        response = jsonify({"detail": text if detail is None else detail})
    else:
        reference = g.get("request_id", "")
        page = render_without_database(
            "error.html", status=status, message=message, reference=reference, is_lost=is_lost
        )
        response = Response(page, mimetype="text/html")
    response.status_code = status
    response.headers.update(headers or {})
    if is_lost:
        response.headers["X-OneDrive"] = "lost"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def get_error_status(error: ImageHubError) -> int:
    return next((code for kind, code in STATUS_OF_ERROR if isinstance(error, kind)), 500)


def get_error_headers(error: ImageHubError) -> dict[str, str]:
    """Return the headers of an answer with an error's status: when to try again, if it says so."""
    if isinstance(error, ServiceBusyError | TooManyTriesError):
        return {"Retry-After": str(max(1, round(error.retry_after_seconds)))}
    return {}


def on_refusal(
    answer: Callable[..., ResponseReturnValue], *kinds: type[ImageHubError]
) -> Callable[[View], View]:
    """Let a view answer its errors, with a page such as the form with its values, or with JSON.

    Only errors raised inside the view count, not a refused access before it.

    :param answer: called with the error and the view's arguments, after the rollback. If it raises
        an ImageHubError itself, that one gets the usual answer.
    :param kinds: the errors to answer; by default every ImageHubError.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def run(*args: Any, **kwargs: Any) -> Any:
            g.refusal = (lambda error: answer(error, *args, **kwargs), kinds or (ImageHubError,))
            return view(*args, **kwargs)

        return cast(View, run)

    return decorate


def answer_own_error(error: ImageHubError) -> ResponseReturnValue:
    """Roll back, and answer with the error's sentence and status."""
    db.session.rollback()
    answer, kinds = g.get("refusal", (None, ()))
    if answer is not None and isinstance(error, kinds):
        try:
            return cast(ResponseReturnValue, answer(error))
        except ImageHubError as raised:
            db.session.rollback()
            error = raised
    headers, detail = get_error_headers(error), None
    if isinstance(error, InvalidInputError) and error.fields:
        detail = [
            {"loc": [name], "msg": text, "type": "value_error"}
            for name, text in error.fields.items()
        ]
    is_lost = isinstance(error, ConnectionLostError)
    return make_error_answer(get_error_status(error), error.sentence, detail, headers, is_lost)


def answer_csrf_error(error: CSRFError) -> ResponseReturnValue:
    """Answer a form whose token is missing or belongs to another session."""
    sentence = mark(
        "This form has been open for too long. Please go back, reload the page and try again."
    )
    return make_error_answer(400, sentence)


def answer_http_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None or error.code is None or error.code < 400:
        return error
    sentences = {
        404: mark("There is nothing at this address."),
        405: mark("This address does not support this kind of request."),
        413: mark("That is more than this address takes."),
    }
    message = sentences.get(error.code, error.description or error.name)
    headers = {k: v for k, v in error.get_headers() if k in ("Allow", "Retry-After")}
    return make_error_answer(error.code, message, headers=headers)


def answer_database_error(error: Exception) -> ResponseReturnValue:
    log.error("[%s] %s", g.get("request_id"), describe_outage(error))
    detail = "The database cannot be reached at the moment."
    return make_error_answer(503, "", detail, {"Retry-After": "30"})


def answer_data_error(error: DataError) -> ResponseReturnValue:
    """Answer that the database cannot store a value: nothing was saved."""
    db.session.rollback()
    log.error("[%s] the database refuses a value: %s", g.get("request_id"), error.orig)
    return make_error_answer(500, explain_data_error(error))


def answer_unexpected_error(error: Exception) -> ResponseReturnValue:
    db.session.rollback()
    reference = g.get("request_id", "")
    log.exception("[%s] unexpected error", reference)
    return make_error_answer(
        500, f"Something went wrong on our side. If it stays, tell us this number: {reference}"
    )
