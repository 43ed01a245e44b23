"""What the refusals of S3 servers mean to ImageHub, and in which words it says so.

Every reason of a ServiceRefusedError of the object storage stands in :data:`SENTENCES`, but for
``bad_certificate`` and ``public_endpoint``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from imagehub.errors import ServiceBusyError, ServiceError, ServiceRefusedError

SERVICE = "object storage"

# "Error responses", Amazon S3 API reference, RequestTimeTooSkewed: more than 15 minutes. The health
# check speaks up before that.
REFUSED_SKEW_SECONDS = 900
WORRYING_SKEW_SECONDS = 600

# A missing key is NoSuchKey to GetObject, and a bare 404 to HeadObject, which has no body.
MISSING_KEY_CODES = frozenset({"NoSuchKey", "NotFound", "404"})

# "Error responses", Amazon S3 API reference, and the words of other servers. What is not here is
# judged by its HTTP status.
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
SENTENCES = {
    "wrong_credentials": "The object storage does not accept the access key id or its secret.",
    "access_denied": "The object storage does not permit this access key to {operation}.",
    "no_bucket": "The bucket “{bucket}” does not exist.",
    "bad_bucket_name": "The object storage does not accept “{bucket}” as the name of a bucket.",
    "name_taken": "The bucket name “{bucket}” belongs to somebody else. Choose another name.",
    "wrong_region": "The bucket “{bucket}” is not in the region “{region}”: set its own region.",
    "clock_skew": "The clocks of this machine and of the object storage differ too much{skew}.",
    "quota_full": "The object storage is full.",
    "not_supported": "This object storage does not know how to {operation}.",
    "bad_answer": "The object storage refused to {operation} ({code}).",
}
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

# How servers without DeleteObjects, or with another idea of its body, refuse it.
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
    """Whom we spoke to: ``endpoint`` as people know it."""

    bucket: str
    region: str
    endpoint: str


def make_refusal(
    operation: str, reason: str, place: Place, code: str = "", skew_seconds: float | None = None
) -> ServiceRefusedError:
    """A lasting refusal in our words; ``reason`` is a key of :data:`SENTENCES`."""
    message = SENTENCES[reason].format(
        operation=operation,
        bucket=place.bucket,
        region=place.region,
        code=code,
        skew="" if skew_seconds is None else describe_skew(skew_seconds),
    )
    return ServiceRefusedError(SERVICE, operation, reason, message)


def make_stranger_error(operation: str, place: Place, detail: str) -> ServiceRefusedError:
    """What answers is no S3 server."""
    message = f"What answers at {place.endpoint} does not speak S3 ({detail})."
    return ServiceRefusedError(SERVICE, operation, "bad_answer", message)


def judge_answer(
    code: str, status: int, headers: Mapping[str, str], operation: str, place: Place
) -> ServiceError:
    """The error that a server's refusal becomes.

    :param code: S3's word, or the status as text where the answer had none.
    :param headers: of the answer, names in lower case.
    """
    reason = REASONS.get(code, "")
    skew_seconds = measure_skew_seconds(headers)
    # Some servers call a wrong clock just AccessDenied; rclone does so for a late one.
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
        return make_stranger_error(operation, place, f"HTTP {code}")
    return make_refusal(operation, reason or "bad_answer", place, code, skew_seconds)


def judge_public_answer(status: int, content: bytes, endpoint: str) -> ServiceError:
    """The error that another answer to a presigned address becomes than the object itself.

    :param content: the body, or its beginning.
    """
    operation = "read an object through the public endpoint"
    found = re.search(rb"<Code>(\w{1,60})</Code>", content[:2000])
    code = found[1].decode() if found else f"HTTP {status}"
    if code in BUSY_CODES or status in (429, 502, 503, 504):
        message = f"The public S3 endpoint {endpoint} is busy just now ({code})."
        return ServiceBusyError(SERVICE, operation, message)
    if status == 200 or code in ("NoSuchKey", "NoSuchBucket", "HTTP 404"):
        fault = "leads to something else than the bucket that ImageHub writes to"
    elif code == "SignatureDoesNotMatch":
        fault = (
            "gets other requests than browsers send: a proxy there must hand on "
            "path, query and the Host header unchanged"
        )
    elif 300 <= status < 400:
        fault = "redirects to another address: set the address where it leads to"
    else:
        fault = "refuses a presigned address"
    message = f"The public S3 endpoint {endpoint} {fault} ({code})."
    return ServiceRefusedError(SERVICE, operation, "public_endpoint", message)


def measure_skew_seconds(headers: Mapping[str, str]) -> float | None:
    """How far the server's clock is ahead of ours; None where it does not tell the time."""
    try:
        theirs = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    return (theirs - datetime.now(UTC)).total_seconds()


def describe_skew(seconds: float) -> str:
    """The end of a sentence: ", by about 62 minutes (ours is behind)"."""
    if abs(seconds) < 60:
        return ""
    side = "ours is behind" if seconds > 0 else "ours is ahead"
    return f", by about {round(abs(seconds) / 60)} minutes ({side})"


def read_retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait, as the server asks for; else half a minute."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return 30.0
