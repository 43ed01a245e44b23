"""Store renditions in S3-compatible object storage, through boto3.

Vendor errors become :class:`~imagehub.errors.ServiceBusyError` (try again) or
:class:`~imagehub.errors.ServiceRefusedError`, see ``s3_errors`` for its reasons.
"""

import base64
import hashlib
import logging
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import boto3
import botocore.loaders
import botocore.session
import requests
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

from imagehub.clients import ObjectInfo
from imagehub.clients.http import NoAuth
from imagehub.clients.s3_errors import (
    BUSY_CODES,
    MISSING_KEY_CODES,
    REASONS,
    SERVICE,
    UNSUPPORTED_CODES,
    WORRYING_SKEW_SECONDS,
    Place,
    judge_answer,
    judge_public_answer,
    make_not_s3_error,
    make_refusal,
    measure_skew_seconds,
)
from imagehub.clients.sigv4 import WindowSigner
from imagehub.errors import NotFoundError, ServiceBusyError, ServiceError, ServiceRefusedError
from imagehub.messages import Message

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

# Megabytes of JSON, shared because boto3 would read them again for each client.
API_DESCRIPTIONS = botocore.loaders.create_loader()

# A rendition never changes: its key contains its hash.
CACHE_CONTROL = "public, max-age=31536000, immutable"

# "DeleteObjects", Amazon S3 API reference: up to 1,000 keys in one request.
DELETE_BATCH_COUNT = 1000


class S3Store:
    """One bucket. Can be shared between threads, and created before a process forks.

    :param bucket: its name; :meth:`create_bucket` creates it.
    :param access_key_id: a permanent key that may list, read, write and delete in the bucket. An
        address signed with temporary credentials would expire with them.
    :param endpoint_url: ``https://host[:port]`` of the S3 API; empty for Amazon.
    :param public_endpoint_url: the same server as browsers reach it, if different. A proxy there
        must forward path, query and Host unchanged, as all three are signed.
    :param region: as the server calls it; many servers accept any.
    :param presign_window_seconds: how long an address stays the same; it is valid twice as long.
    :param addressing_style: ``path`` (host/bucket/key) or ``virtual`` (bucket.host/key); by default
        ``virtual`` at Amazon and ``path`` elsewhere.
    :raise ValueError: one of these cannot be used; the text is one sentence.
    """

    def __init__(
        self,
        *,
        bucket: str,
        access_key_id: str,
        secret_access_key: str,
        endpoint_url: str = "",
        public_endpoint_url: str = "",
        region: str = "us-east-1",
        presign_window_seconds: int = 86_400,
        connect_timeout_seconds: float = 5.0,
        read_timeout_seconds: float = 30.0,
        max_pool_connections: int = 16,
        addressing_style: str = "",
    ) -> None:
        if not bucket or not access_key_id or not secret_access_key:
            raise ValueError("Object storage needs a bucket, an access key id and its secret.")
        if addressing_style not in ("", "path", "virtual"):
            raise ValueError("The addressing style is path or virtual.")
        self._bucket = bucket
        self._region = region or "us-east-1"
        self._endpoint_url = clean_endpoint_url(endpoint_url)
        self._public_endpoint_url = clean_endpoint_url(public_endpoint_url) or self._endpoint_url
        self._addressing_style = addressing_style or ("path" if self._endpoint_url else "virtual")
        self._access_key_id = access_key_id
        self._secret_access_key = secret_access_key
        self._timeouts_seconds = (connect_timeout_seconds, read_timeout_seconds)
        self._max_pool_connections = max_pool_connections
        self._client_of_process: tuple[int, S3Client] | None = None
        self._signer = WindowSigner(
            self._make_public_base_url(),
            access_key_id,
            secret_access_key,
            self._region,
            presign_window_seconds,
        )

    def __repr__(self) -> str:
        return f"S3Store(bucket={self._bucket!r}, endpoint_url={self._endpoint_url!r})"

    # --- The bucket ---

    def create_bucket(self) -> None:
        """Create the bucket if it does not exist; safe to call at every start.

        :raise ServiceRefusedError: ``no_bucket``, it does not exist and this key may not create it;
            ``name_taken``, it belongs to someone else; or the key is refused.
        """
        operation = "create a bucket"
        if self._has_bucket():
            return
        # Amazon's us-east-1 refuses its own name as a constraint, its other regions require
        # theirs. Some other servers require it, some refuse any.
        arguments: list[dict[str, Any]] = [{}]
        if self._region not in ("us-east-1", "auto"):
            constraint = {"LocationConstraint": self._region}
            arguments.insert(0, {"CreateBucketConfiguration": constraint})
        with self._translated(operation):
            try:
                self._create_bucket_with(arguments)
            except ClientError as error:
                code = get_code(error)
                if code in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    # Another process has created it meanwhile, or it is another customer's.
                    self._expect_own_bucket(error)
                elif code in ("AccessDenied", "AllAccessDisabled"):
                    raise ServiceRefusedError(
                        SERVICE,
                        operation,
                        "no_bucket",
                        Message(
                            "The bucket “%(bucket)s” does not exist, and this access key may not "
                            "create it. Create it yourself, or use another key.",
                            bucket=self._bucket,
                        ),
                    ) from error
                else:
                    raise

    def _create_bucket_with(self, arguments: list[dict[str, Any]]) -> None:
        """Try one set of arguments after the other, as long as the constraint is refused."""
        for last, chosen in enumerate(arguments, 1 - len(arguments)):
            try:
                self._get_client().create_bucket(Bucket=self._bucket, **chosen)
                return
            except ClientError as error:
                if last == 0 or "LocationConstraint" not in get_code(error):
                    raise

    def _has_bucket(self) -> bool:
        # A refused listing says why; HeadBucket answers 403 and 404 without a body.
        with self._translated("list objects"):
            try:
                answer = self._get_client().list_objects_v2(Bucket=self._bucket, MaxKeys=1)
            except ClientError as error:
                if get_code(error) != "NoSuchBucket":
                    raise
                return False
        # The page of a website can be parsed as an empty listing.
        if not answer.keys() & {"Name", "KeyCount", "IsTruncated"}:
            raise make_not_s3_error("list objects", self._describe(), "no listing")
        return True

    def _expect_own_bucket(self, conflict: ClientError) -> None:
        try:
            found = self._has_bucket()
        except ServiceRefusedError:
            found = False
        if not found:
            raise make_refusal("create a bucket", "name_taken", self._describe()) from conflict

    # --- Objects ---

    def put_object(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object, which browsers may cache for a year; overwrites.

        :raise ServiceError: nothing was changed.
        """
        with self._translated("store an object"):
            self._get_client().put_object(
                Bucket=self._bucket,
                Key=check_key(key),
                Body=data,
                ContentType=content_type,
                CacheControl=CACHE_CONTROL,
                # The signature covers the content too, but rclone does not check that.
                ContentMD5=make_content_md5(data),
            )

    def get_object(self, key: str) -> bytes:
        """Return the content of an object.

        :raise NotFoundError: there is no such key.
        """
        with self._translated("read an object"):
            try:
                try:
                    data = self._read(key)
                except (IncompleteReadError, ResponseStreamingError):
                    # The client repeats requests itself, but not the reading of an answer.
                    data = self._read(key)
            except ClientError as error:
                if get_code(error) in MISSING_KEY_CODES:
                    raise NotFoundError("object", key) from error
                raise
        return data

    def _read(self, key: str) -> bytes:
        answer = self._get_client().get_object(Bucket=self._bucket, Key=check_key(key))
        # Not "with body": that is the bare stream, which raises other errors than botocore's.
        with closing(answer["Body"]) as body:
            return body.read()

    def find_object(self, key: str) -> ObjectInfo | None:
        """Return the facts of an object without its content, or None."""
        with self._translated("look for an object"):
            try:
                answer = self._get_client().head_object(Bucket=self._bucket, Key=check_key(key))
            except ClientError as error:
                if get_code(error) not in MISSING_KEY_CODES:
                    raise
                return None
        return ObjectInfo(
            key=key,
            size_bytes=answer["ContentLength"],
            modified_at=answer["LastModified"].astimezone(UTC),
            content_type=answer.get("ContentType", ""),
        )

    def delete_objects(self, keys: Iterable[str]) -> None:
        """Delete any number of keys, 1,000 with each request; missing keys are ignored.

        :raise ServiceError: some keys of a batch could not be deleted; no later batch was tried.
        """
        remaining = iter(keys)
        while batch := [check_key(key) for key in islice(remaining, DELETE_BATCH_COUNT)]:
            with self._translated("delete objects"):
                self._delete_batch(batch)

    def _delete_batch(self, keys: list[str]) -> None:
        client = self._get_client()
        try:
            answer = client.delete_objects(
                Bucket=self._bucket,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )
        except ClientError as error:
            if get_code(error) not in UNSUPPORTED_CODES and get_status(error) not in (405, 501):
                raise
            log.info("Deleting one object at a time: the server answered %s", get_code(error))
            for key in keys:
                client.delete_object(Bucket=self._bucket, Key=key)
            return
        codes = [error.get("Code", "") for error in answer.get("Errors", ())]
        codes = [code for code in codes if code not in MISSING_KEY_CODES]
        if codes:
            message = Message(
                "%(count)s of %(total)s objects could not be deleted (%(code)s).",
                count=len(codes),
                total=len(keys),
                code=codes[0],
            )
            if any(code in BUSY_CODES for code in codes):
                raise ServiceBusyError(SERVICE, "delete objects", message)
            reason = REASONS.get(codes[0], "bad_answer")
            raise ServiceRefusedError(SERVICE, "delete objects", reason, message)

    def iter_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Iterate over all objects whose key starts with ``prefix``, in key order."""
        paginator = self._get_client().get_paginator("list_objects_v2")
        pages = iter(paginator.paginate(Bucket=self._bucket, Prefix=prefix))
        while True:
            with self._translated("list objects"):
                page = next(pages, None)
            if page is None:
                return
            for entry in page.get("Contents", ()):
                yield ObjectInfo(
                    key=entry["Key"],
                    size_bytes=entry["Size"],
                    modified_at=entry["LastModified"].astimezone(UTC),
                )

    # --- Addresses for browsers ---

    def make_presigned_url(self, key: str, now: datetime | None = None) -> str:
        """Return a URL for browsers, signed at the start of the current window.

        It is the same in every process until the window ends, stays valid for one more window, and
        makes the server send a Cache-Control of one window. Nothing is sent to the server.

        :param now: aware; the current time by default.
        :raise ValueError: ``now`` is naive.
        """
        if now is None:
            now = datetime.now(UTC)
        elif now.tzinfo is None:
            raise ValueError("now must have a time zone")
        return self._signer.sign(check_key(key), now.timestamp())

    def _make_public_base_url(self) -> str:
        """Return the part of an address before the key."""
        if not self._public_endpoint_url:
            # Amazon's addresses depend on region and partition; botocore knows the rules.
            parameters = {"Bucket": self._bucket, "Key": "key"}
            url = self._get_client().generate_presigned_url("get_object", Params=parameters)
            return url.partition("?")[0].removesuffix("key")
        parts = urlsplit(self._public_endpoint_url)
        if self._addressing_style == "virtual":
            return f"{parts.scheme}://{self._bucket}.{parts.netloc}{parts.path}/"
        return f"{self._public_endpoint_url}/{quote(self._bucket, safe='~')}/"

    # --- Health ---

    def check(self) -> None:
        """Write a small object, read it through both endpoints, and delete it.

        :raise ServiceError: the sentence says which endpoint fails and why. With the reason
            ``public_endpoint``, only the address for browsers does not work.
        """
        key = f"checks/{secrets.token_hex(16)}.txt"
        data = secrets.token_hex(32).encode()
        self.put_object(key, data, "text/plain")
        try:
            if self.get_object(key) != data:
                raise ServiceRefusedError(
                    SERVICE,
                    "read an object",
                    "bad_answer",
                    Message(
                        "The object storage at %(endpoint)s did not return the content that was "
                        "stored.",
                        endpoint=self._describe().endpoint,
                    ),
                )
            self._check_clock(key)
            self._check_public_endpoint(key, data)
        finally:
            self.delete_objects([key])

    def _check_clock(self, key: str) -> None:
        with self._translated("look for an object"):
            answer = self._get_client().head_object(Bucket=self._bucket, Key=key)
        skew_seconds = measure_skew_seconds(answer["ResponseMetadata"]["HTTPHeaders"])
        if skew_seconds is not None and abs(skew_seconds) > WORRYING_SKEW_SECONDS:
            raise make_refusal(
                "compare clocks", "clock_skew", self._describe(), skew_seconds=skew_seconds
            )

    def _check_public_endpoint(self, key: str, data: bytes) -> None:
        operation = "read an object through the public endpoint"
        place = self._public_endpoint_url or "Amazon"
        try:
            answer = requests.get(
                self.make_presigned_url(key),
                auth=NoAuth(),
                timeout=self._timeouts_seconds,
                allow_redirects=False,
            )
        # "from None", as the text of these errors contains the signed address.
        except requests.exceptions.SSLError:
            raise ServiceRefusedError(
                SERVICE,
                operation,
                "public_endpoint",
                Message(
                    "This machine does not trust the certificate of the public S3 endpoint "
                    "%(endpoint)s.",
                    endpoint=place,
                ),
            ) from None
        except requests.RequestException as error:
            raise ServiceBusyError(
                SERVICE,
                operation,
                Message(
                    "The public S3 endpoint %(endpoint)s cannot be reached from this machine "
                    "(%(error)s).",
                    endpoint=place,
                    error=type(error).__name__,
                ),
            ) from None
        if answer.status_code != 200 or answer.content != data:
            raise judge_public_answer(answer.status_code, answer.content, place)

    # --- The client and its errors ---

    def _get_client(self) -> "S3Client":
        """Return the client of this process, created at first use.

        A forked child creates its own, as it must not use its parent's connections. Threads may
        create one each at the same time, of which one is kept: cheaper than a lock, which a fork
        could leave locked.
        """
        process_id = os.getpid()
        if self._client_of_process is None or self._client_of_process[0] != process_id:
            self._client_of_process = (process_id, self._make_client())
        return self._client_of_process[1]

    def _make_client(self) -> "S3Client":
        connect_timeout, read_timeout = self._timeouts_seconds
        session = botocore.session.get_session()
        session.register_component("data_loader", API_DESCRIPTIONS)
        client = boto3.session.Session(botocore_session=session).client(
            "s3",
            endpoint_url=self._endpoint_url or None,
            region_name=self._region,
            aws_access_key_id=self._access_key_id,
            aws_secret_access_key=self._secret_access_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": self._addressing_style},  # type: ignore[arg-type] # checked
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                max_pool_connections=self._max_pool_connections,
                tcp_keepalive=True,
                retries={"mode": "standard", "total_max_attempts": 4},
                # Many servers do not know the newer checksums. Uploads are still checked: the
                # signature contains the SHA-256 of the body.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                user_agent_extra="ImageHub",
            ),
        )
        client.meta.events.register("before-sign.s3.DeleteObjects", use_content_md5)
        return client

    @contextmanager
    def _translated(self, operation: str) -> Iterator[None]:
        """Turn vendor errors into errors of ImageHub."""
        try:
            yield
        except ClientError as error:
            raise judge_answer(
                get_code(error),
                get_status(error),
                error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}),
                operation,
                self._describe(),
            ) from error
        except BotoCoreError as error:
            raise self._translate_failure(error, operation) from error

    def _translate_failure(self, error: BotoCoreError, operation: str) -> ServiceError:
        """Return the error for a request without a usable answer."""
        place = self._describe().endpoint
        if isinstance(error, SSLError):
            return ServiceRefusedError(
                SERVICE,
                operation,
                "bad_certificate",
                Message(
                    "This machine does not trust the certificate of the object storage at "
                    "%(endpoint)s.",
                    endpoint=place,
                ),
            )
        if isinstance(error, (HTTPClientError, NoConnectionError)):
            return ServiceBusyError(
                SERVICE,
                operation,
                Message(
                    "The object storage at %(endpoint)s cannot be reached (%(error)s).",
                    endpoint=place,
                    error=type(error).__name__,
                ),
            )
        if isinstance(error, ParamValidationError):
            return make_refusal(operation, "bad_bucket_name", self._describe())
        return make_not_s3_error(operation, self._describe(), type(error).__name__)

    def _describe(self) -> Place:
        endpoint = self._endpoint_url or f"Amazon ({self._region})"
        return Place(self._bucket, self._region, endpoint)


def clean_endpoint_url(url: str) -> str:
    """Return the address of an S3 server without a trailing slash; "" stays "".

    :raise ValueError: it is not a valid address.
    """
    if not url:
        return ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("The address of an S3 server must start with http:// or https://.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("The address of an S3 server must not contain a user, password, ? or #.")
    return url.rstrip("/")


def check_key(key: str) -> str:
    """Return the key if browsers and all servers interpret it in the same way.

    :raise ValueError: it is empty, or has a segment that is empty, "." or "..".
    """
    if any(segment in ("", ".", "..") for segment in key.split("/")):
        raise ValueError("The segments of a key must not be empty, . or ..")
    return key


def use_content_md5(request: AWSRequest, **_: Any) -> None:
    """Protect DeleteObjects with Content-MD5 instead of botocore's CRC-32.

    Amazon accepts either; Google, Ceph and older servers require Content-MD5.

    Source: "DeleteObjects", Amazon S3 API reference, request header Content-MD5.
    """
    for name in list(request.headers.keys()):
        if name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-checksum-")):
            del request.headers[name]
    body = request.body
    content = body.encode() if isinstance(body, str) else bytes(body or b"")
    request.headers["Content-MD5"] = make_content_md5(content)


def make_content_md5(content: bytes) -> str:
    """Return the value of the header Content-MD5 (RFC 1864)."""
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def get_code(error: ClientError) -> str:
    """Return S3's code of an error, or the status as text if the answer has no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def get_status(error: ClientError) -> int:
    """Return the HTTP status of an error, 0 if unknown."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
