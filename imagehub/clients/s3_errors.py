"""Turn the error answers of S3 servers into errors with sentences for people.

The reasons of a ServiceRefusedError of the object storage are the keys of the sentences here,
``bad_certificate`` and ``public_endpoint``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from imagehub.clients.http import parse_http_date, read_retry_after
from imagehub.errors import ServiceBusyError, ServiceError, ServiceRefusedError
from imagehub.messages import Message, mark

SERVICE = "object storage"

# "Error responses", Amazon S3 API reference, RequestTimeTooSkewed: more than 15 minutes. The health
# check complains before that.
REFUSED_SKEW_SECONDS = 900
WORRYING_SKEW_SECONDS = 600

# A missing key is NoSuchKey to GetObject, and a bare 404 to HeadObject, which has no body.
MISSING_KEY_CODES = frozenset({"NoSuchKey", "NotFound", "404"})

# "Error responses", Amazon S3 API reference, and the codes of other servers. For all others the
# HTTP status decides.
REASONS = {
    "InvalidAccessKeyId": "wrong_credentials",
    "SignatureDoesNotMatch": "wrong_credentials",
    "InvalidSecurity": "wrong_credentials",
    "Unauthorized": "wrong_credentials",
    "AccessDenied": "access_denied",
    "AllAccessDisabled": "access_denied",
    "AccountProblem": "access_denied",
    "Forbidden": "access_denied",
    "NoSuchBucket": "no_bucket",
    "InvalidBucketName": "bad_bucket_name",
    "BucketAlreadyExists": "name_taken",
    "AuthorizationHeaderMalformed": "wrong_region",
    "IllegalLocationConstraintException": "wrong_region",
    "InvalidLocationConstraint": "wrong_region",
    "PermanentRedirect": "wrong_region",
    "RequestTimeTooSkewed": "clock_skew",
    "RequestExpired": "clock_skew",
    "QuotaExceeded": "quota_full",
    "XMinioAdminBucketQuotaExceeded": "quota_full",
    "XMinioStorageFull": "quota_full",
    "NotImplemented": "not_supported",
    "MethodNotAllowed": "not_supported",
}
REASONS_BY_STATUS = {401: "wrong_credentials", 403: "access_denied", 507: "quota_full"}
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
    "quota_full": mark("The object storage is full."),
    "not_supported": mark("This object storage does not support this operation: %(operation)s."),
    "bad_answer": mark("The object storage refused this operation (%(code)s): %(operation)s."),
}
# For answers at presigned addresses that are not the object.
_PUBLIC_REDIRECTS = mark(
    "The public S3 endpoint %(endpoint)s redirects to another address (%(code)s). Set that address."
)
_PUBLIC_OTHER = mark(
    "The public S3 endpoint %(endpoint)s does not lead to the bucket that ImageHub writes to "
    "(%(code)s)."
)
_PUBLIC_CHANGED = mark(
    "Requests reach the public S3 endpoint %(endpoint)s altered (%(code)s). The proxy there must "
    "forward the path, the query and the Host header unchanged."
)
_PUBLIC_REFUSES = mark(
    "The public S3 endpoint %(endpoint)s refuses a presigned address (%(code)s)."
)
BUSY_CODES = frozenset(
    {
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "Throttling",
        "TooManyRequests",
    }
)

# Answers of servers that do not support DeleteObjects, or not with this body.
UNSUPPORTED_CODES = frozenset(
    {
        "InvalidArgument",
        "InvalidRequest",
        "MalformedXML",
        "MethodNotAllowed",
        "MissingContentMD5",
        "NotImplemented",
        "UnsupportedOperation",
    }
)


@dataclass(frozen=True)
class Place:
    """The bucket and server of a request; ``endpoint`` as shown to people."""

    bucket: str
    region: str
    endpoint: str


def make_refusal(
    operation: str, reason: str, place: Place, code: str = "", skew_seconds: float | None = None
) -> ServiceRefusedError:
    """Return the error for a permanent refusal; ``reason`` is a key of the sentences."""
    if reason == "clock_skew" and skew_seconds is not None and abs(skew_seconds) >= 60:
        message = _describe_skew(skew_seconds)
    else:
        message = Message(
            _SENTENCES[reason],
            operation=operation,
            bucket=place.bucket,
            region=place.region,
            code=code,
        )
    return ServiceRefusedError(SERVICE, operation, reason, message)


def _describe_skew(seconds: float) -> Message:
    minutes = round(abs(seconds) / 60)
    if seconds > 0:
        return Message(
            "The clock of this machine is about %(minutes)s minutes behind that of the object "
            "storage.",
            minutes=minutes,
        )
    return Message(
        "The clock of this machine is about %(minutes)s minutes ahead of that of the object "
        "storage.",
        minutes=minutes,
    )


def make_not_s3_error(operation: str, place: Place, detail: str) -> ServiceRefusedError:
    """Return the error for an answer that no S3 server gives."""
    message = Message(
        "The server at %(endpoint)s does not speak S3 (%(detail)s).",
        endpoint=place.endpoint,
        detail=detail,
    )
    return ServiceRefusedError(SERVICE, operation, "bad_answer", message)


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
        and skew_seconds is not None
        and abs(skew_seconds) > REFUSED_SKEW_SECONDS
    ):
        reason = "clock_skew"
    reason = reason or REASONS_BY_STATUS.get(status, "")
    if code in BUSY_CODES or (not reason and (status == 429 or status >= 500)):
        return ServiceBusyError(SERVICE, operation, retry_after_seconds=read_retry_after(headers))
    if not reason and code.isdigit():
        return make_not_s3_error(operation, place, f"HTTP {code}")
    return make_refusal(operation, reason or "bad_answer", place, code, skew_seconds)


def judge_public_answer(status: int, content: bytes, endpoint: str) -> ServiceError:
    """Return the error for an answer to a presigned address that isn't the object.

    :param content: the body, or its beginning.
    """
    operation = "read an object through the public endpoint"
    found = re.search(rb"<Code>(\w{1,60})</Code>", content[:2000])
    code = found[1].decode() if found else f"HTTP {status}"
    if code in BUSY_CODES or status in (429, 502, 503, 504):
        message = Message(
            "The public S3 endpoint %(endpoint)s is busy at the moment (%(code)s).",
            endpoint=endpoint,
            code=code,
        )
        return ServiceBusyError(SERVICE, operation, message)
    if status == 200 or code in ("NoSuchKey", "NoSuchBucket", "HTTP 404"):
        template = _PUBLIC_OTHER
    elif code == "SignatureDoesNotMatch":
        template = _PUBLIC_CHANGED
    elif 300 <= status < 400:
        template = _PUBLIC_REDIRECTS
    else:
        template = _PUBLIC_REFUSES
    message = Message(template, endpoint=endpoint, code=code)
    return ServiceRefusedError(SERVICE, operation, "public_endpoint", message)


def measure_skew_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how far the server's clock is ahead of ours, None if unknown."""
    theirs = parse_http_date(headers.get("date"))
    return None if theirs is None else (theirs - datetime.now(UTC)).total_seconds()
