"""Turn the error answers of S3 servers into errors with sentences for people.

The reasons of a ServiceRefusedError of the object storage are those of ``REASONS``, ``bad_answer``,
``bad_certificate`` and ``public_endpoint``.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from imagehub.clients.http import parse_http_date, read_retry_after
from imagehub.errors import ServiceBusyError, ServiceError, ServiceRefusedError
from imagehub.messages import Message, mark

SERVICE = "object storage"

# "Error responses", Amazon S3 API reference, RequestTimeTooSkewed: more than 15 minutes. The health
# check complains before that.
_REFUSED_SKEW_SECONDS = 900
WORRYING_SKEW_SECONDS = 600

# A missing key is NoSuchKey to GetObject, and a bare 404 to HeadObject, which has no body.
MISSING_KEY_CODES = frozenset({"NoSuchKey", "NotFound", "404"})

# "Error responses", Amazon S3 API reference, and the codes of other servers.
# The HTTP status decides for all others.
REASONS = {
    code: reason
    for reason, codes in {
        "wrong_credentials": (
            "InvalidAccessKeyId SignatureDoesNotMatch InvalidSecurity Unauthorized"
        ),
        "access_denied": "AccessDenied AllAccessDisabled AccountProblem Forbidden",
        "no_bucket": "NoSuchBucket",
        "bad_bucket_name": "InvalidBucketName",
        "name_taken": "BucketAlreadyExists",
        "wrong_region": (
            "AuthorizationHeaderMalformed IllegalLocationConstraintException "
            "InvalidLocationConstraint PermanentRedirect"
        ),
        "clock_skew": "RequestTimeTooSkewed RequestExpired",
        "quota_full": "QuotaExceeded XMinioAdminBucketQuotaExceeded XMinioStorageFull",
        "not_supported": "NotImplemented MethodNotAllowed",
    }.items()
    for code in codes.split()
}
_REASONS_BY_STATUS = {401: "wrong_credentials", 403: "access_denied", 507: "quota_full"}
# By reason, or by the case if a reason has several.
_SENTENCES = {
    "wrong_credentials": mark(
        "The object storage does not accept the access key ID or the secret access key."
    ),
    "access_denied": mark(
        "The access key does not have permission for this operation: %(operation)s."
    ),
    "no_bucket": mark("The bucket “%(bucket)s” does not exist."),
    "bad_bucket_name": mark("The object storage does not accept “%(bucket)s” as a bucket name."),
    "name_taken": mark(
        "The bucket name “%(bucket)s” belongs to someone else. Choose another name."
    ),
    "wrong_region": mark("The bucket “%(bucket)s” is not in the region “%(region)s”."),
    "clock_skew": mark("The clocks of this machine and of the object storage differ too much."),
    "clock_behind": mark(
        "The clock of this machine is about %(minutes)s minutes behind that of the object storage."
    ),
    "clock_ahead": mark(
        "The clock of this machine is about %(minutes)s minutes ahead of that of the object "
        "storage."
    ),
    "quota_full": mark("The object storage is full."),
    "not_supported": mark("This object storage does not support this operation: %(operation)s."),
    "bad_answer": mark("The object storage refused this operation (%(code)s): %(operation)s."),
    "bad_certificate": mark(
        "This machine does not trust the certificate of the object storage at %(endpoint)s."
    ),
    "not_created": mark(
        "The bucket “%(bucket)s” does not exist, and this access key may not create it. Create it "
        "yourself, or use another key."
    ),
    "not_s3": mark("The server at %(endpoint)s does not speak S3 (%(detail)s)."),
    "other_content": mark(
        "The object storage at %(endpoint)s did not return the content that was stored."
    ),
    # For answers at presigned addresses that are not the object.
    "public_certificate": mark(
        "This machine does not trust the certificate of the public S3 endpoint %(endpoint)s."
    ),
    "public_redirects": mark(
        "The public S3 endpoint %(endpoint)s redirects to another address (%(code)s). Set that "
        "address."
    ),
    "public_other": mark(
        "The public S3 endpoint %(endpoint)s does not lead to the bucket that ImageHub writes to "
        "(%(code)s)."
    ),
    "public_changed": mark(
        "Requests reach the public S3 endpoint %(endpoint)s altered (%(code)s). The proxy there "
        "must forward the path, the query and the Host header unchanged."
    ),
    "public_refuses": mark(
        "The public S3 endpoint %(endpoint)s refuses a presigned address (%(code)s)."
    ),
}
BUSY_CODES = frozenset(
    (
        "InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown",
        "SlowDownRead", "SlowDownWrite", "Throttling", "TooManyRequests",
    )
)  # fmt: skip

# Answers of servers that do not support DeleteObjects, or not with this body.
UNSUPPORTED_CODES = frozenset(
    (
        "InvalidArgument", "InvalidRequest", "MalformedXML", "MethodNotAllowed",
        "MissingContentMD5", "NotImplemented", "UnsupportedOperation",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """The bucket and server of a request; ``endpoint`` as shown to people."""

    bucket: str
    region: str
    endpoint: str


def make_refusal(
    operation: str, reason: str, place: Place, case: str = "", **values: object
) -> ServiceRefusedError:
    """Return the error for a permanent refusal.

    :param case: the key of the sentence if it is not the reason.
    :param values: of the sentence, besides the operation and the place.
    """
    message = Message(
        _SENTENCES[case or reason], **{"operation": operation, **asdict(place), **values}
    )
    return ServiceRefusedError(SERVICE, operation, reason, message)


def make_skew_error(
    operation: str, place: Place, skew_seconds: float | None
) -> ServiceRefusedError:
    """Return the error for clocks that differ too much, by so much if that is known."""
    if skew_seconds is None or abs(skew_seconds) < 60:
        return make_refusal(operation, "clock_skew", place)
    case = "clock_behind" if skew_seconds > 0 else "clock_ahead"
    minutes = round(abs(skew_seconds) / 60)
    return make_refusal(operation, "clock_skew", place, case, minutes=minutes)


def make_not_s3_error(operation: str, place: Place, detail: str) -> ServiceRefusedError:
    """Return the error for an answer that no S3 server gives."""
    return make_refusal(operation, "bad_answer", place, "not_s3", detail=detail)


def judge_answer(
    code: str, status: int, headers: Mapping[str, str], operation: str, place: Place
) -> ServiceError:
    """Return the error for a server's refusal.

    :param code: S3's error code, or the status as text if the answer has none.
    :param headers: of the answer, with names in lower case.
    """
    reason = REASONS.get(code, "")
    skew_seconds = measure_skew_seconds(headers)
    # Some servers answer AccessDenied to a wrong clock; rclone does so if it is slow.
    if (
        reason in ("", "access_denied")
        and 400 <= status <= 403
        and abs(skew_seconds or 0) > _REFUSED_SKEW_SECONDS
    ):
        reason = "clock_skew"
    reason = reason or _REASONS_BY_STATUS.get(status, "")
    if code == "InternalError":
        # All that rclone says if its disk is full.
        message = mark("The object storage reports an internal error. Its disk may be full.")
        return ServiceBusyError(SERVICE, operation, message, read_retry_after(headers))
    if code in BUSY_CODES or (not reason and (status == 429 or status >= 500)):
        return ServiceBusyError(SERVICE, operation, retry_after_seconds=read_retry_after(headers))
    if not reason and code.isdigit():
        return make_not_s3_error(operation, place, f"HTTP {code}")
    if reason == "clock_skew":
        return make_skew_error(operation, place, skew_seconds)
    return make_refusal(operation, reason or "bad_answer", place, code=code)


def judge_public_answer(status: int, content: bytes, operation: str, place: Place) -> ServiceError:
    """Return the error for an answer to a presigned address that isn't the object.

    :param content: the body, or its beginning.
    """
    found = re.search(rb"<Code>(\w{1,60})</Code>", content[:2000])
    code = found[1].decode() if found else f"HTTP {status}"
    if code in BUSY_CODES or status in (429, 502, 503, 504):
        message = Message(
            "The public S3 endpoint %(endpoint)s is busy at the moment (%(code)s).",
            endpoint=place.endpoint,
            code=code,
        )
        return ServiceBusyError(SERVICE, operation, message)
    if status == 200 or code in ("NoSuchKey", "NoSuchBucket", "HTTP 404"):
        case = "public_other"
    elif code == "SignatureDoesNotMatch":
        case = "public_changed"
    else:
        case = "public_redirects" if 300 <= status < 400 else "public_refuses"
    return make_refusal(operation, "public_endpoint", place, case, code=code)


def measure_skew_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how far the server's clock is ahead of ours, None if unknown."""
    theirs = parse_http_date(headers.get("date"))
    return None if theirs is None else (theirs - datetime.now(UTC)).total_seconds()
