"""Renditions in S3-compatible object storage, through boto3.

Vendor errors leave here as :class:`~imagehub.errors.ServiceBusyError` (worth another try) or
:class:`~imagehub.errors.ServiceRefusedError`, whose reasons stand in ``s3_errors``.
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

from imagehub.clients import StoredObject
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
    make_refusal,
    make_stranger_error,
    measure_skew_seconds,
)
from imagehub.clients.sigv4 import WindowSigner
from imagehub.errors import NotFoundError, ServiceBusyError, ServiceError, ServiceRefusedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

# Megabytes of JSON that boto3 would read again for each client: nine tenths of making one.
API_DESCRIPTIONS = botocore.loaders.create_loader()

# Renditions never change: another picture has another hash, and so another key.
CACHE_CONTROL = "public, max-age=31536000, immutable"

# "DeleteObjects", Amazon S3 API reference: up to 1,000 keys in one request.
DELETE_BATCH_COUNT = 1000


class S3Store:
    """One bucket. Safe to share between threads, and to make before a process forks.

    :param bucket: its name; :meth:`create_bucket` makes it.
    :param access_key_id: with its secret, may list, read, write and delete in the bucket. A lasting
        key: an address signed with a passing token would end with the token.
    :param endpoint_url: ``https://host[:port]`` of the S3 API; empty for Amazon's own.
    :param public_endpoint_url: the same server as browsers reach it; empty where it is the same.
        A proxy there hands on path, query and Host unchanged, for all three are signed.
    :param region: as the server calls it; many servers take any.
    :param presign_window_seconds: how long an address stays the same; it lives twice as long.
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
        """Create the bucket if it is missing; safe to call at every start.

        :raise ServiceRefusedError: it is missing and this key may not make it (``no_bucket``), it
            is somebody else's (``name_taken``), or the key is refused.
        """
        operation = "create a bucket"
        if self._has_bucket():
            return
        # Amazon's us-east-1 refuses its own name as a constraint and its other regions demand
        # theirs. Of the other servers, some demand it and some refuse every one.
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
                    # Another process was quicker, or the name is another customer's.
                    self._expect_own_bucket(error)
                elif code in ("AccessDenied", "AllAccessDisabled"):
                    raise ServiceRefusedError(
                        SERVICE,
                        operation,
                        "no_bucket",
                        f"The bucket “{self._bucket}” does not exist, and this access key may not "
                        "create it. Create it by hand, or use a key that may.",
                    ) from error
                else:
                    raise

    def _create_bucket_with(self, arguments: list[dict[str, Any]]) -> None:
        """Try one set of arguments after the other, as long as the constraint is the fault."""
        for last, chosen in enumerate(arguments, 1 - len(arguments)):
            try:
                self._get_client().create_bucket(Bucket=self._bucket, **chosen)
                return
            except ClientError as error:
                if last == 0 or "LocationConstraint" not in get_code(error):
                    raise

    def _has_bucket(self) -> bool:
        # A refused listing says why. HeadBucket answers 403 and 404 without a word.
        with self._translated("list objects"):
            try:
                answer = self._get_client().list_objects_v2(Bucket=self._bucket, MaxKeys=1)
            except ClientError as error:
                if get_code(error) != "NoSuchBucket":
                    raise
                return False
        # A website's page can pass for an empty listing.
        if not answer.keys() & {"Name", "KeyCount", "IsTruncated"}:
            raise make_stranger_error("list objects", self._describe(), "no listing")
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
        """Store bytes under a key, for browsers to keep a year. Overwrites.

        :raise ServiceError: nothing is stored, or what was there before.
        """
        with self._translated("store an object"):
            self._get_client().put_object(
                Bucket=self._bucket,
                Key=check_key(key),
                Body=data,
                ContentType=content_type,
                CacheControl=CACHE_CONTROL,
                # The signature covers the bytes too, but rclone does not look at that.
                ContentMD5=make_content_md5(data),
            )

    def get_object(self, key: str) -> bytes:
        """The bytes of one object.

        :raise NotFoundError: no such key.
        """
        with self._translated("read an object"):
            try:
                try:
                    data = self._read(key)
                except (IncompleteReadError, ResponseStreamingError):
                    # The client repeats requests by itself, but not the reading of an answer.
                    data = self._read(key)
            except ClientError as error:
                if get_code(error) in MISSING_KEY_CODES:
                    raise NotFoundError("object", key) from error
                raise
        return data

    def _read(self, key: str) -> bytes:
        answer = self._get_client().get_object(Bucket=self._bucket, Key=check_key(key))
        # Not "with body": that gives the bare stream, whose errors are not botocore's.
        with closing(answer["Body"]) as body:
            return body.read()

    def find_object(self, key: str) -> StoredObject | None:
        """Facts of one object without its bytes, or None."""
        with self._translated("look for an object"):
            try:
                answer = self._get_client().head_object(Bucket=self._bucket, Key=check_key(key))
            except ClientError as error:
                if get_code(error) not in MISSING_KEY_CODES:
                    raise
                return None
        return StoredObject(
            key=key,
            size_bytes=answer["ContentLength"],
            modified_at=answer["LastModified"].astimezone(UTC),
            content_type=answer.get("ContentType", ""),
        )

    def delete_objects(self, keys: Iterable[str]) -> None:
        """Delete any number of keys, 1,000 a request; a key that is gone already is no error.

        :raise ServiceError: some of a batch could not be deleted, and no later batch was tried.
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
            log.info("Deleting one object at a time: the server answered %s.", get_code(error))
            for key in keys:
                client.delete_object(Bucket=self._bucket, Key=key)
            return
        codes = [error.get("Code", "") for error in answer.get("Errors", ())]
        codes = [code for code in codes if code not in MISSING_KEY_CODES]
        if codes:
            message = f"{len(codes)} of {len(keys)} objects could not be deleted ({codes[0]})."
            if any(code in BUSY_CODES for code in codes):
                raise ServiceBusyError(SERVICE, "delete objects", message)
            reason = REASONS.get(codes[0], "bad_answer")
            raise ServiceRefusedError(SERVICE, "delete objects", reason, message)

    def iter_objects(self, prefix: str = "") -> Iterator[StoredObject]:
        """All objects whose key starts with ``prefix``, in key order, read page by page."""
        paginator = self._get_client().get_paginator("list_objects_v2")
        pages = iter(paginator.paginate(Bucket=self._bucket, Prefix=prefix))
        while True:
            with self._translated("list objects"):
                page = next(pages, None)
            if page is None:
                return
            for entry in page.get("Contents", ()):
                yield StoredObject(
                    key=entry["Key"],
                    size_bytes=entry["Size"],
                    modified_at=entry["LastModified"].astimezone(UTC),
                )

    # --- Addresses for browsers ---

    def make_presigned_url(self, key: str, now: datetime | None = None) -> str:
        """An absolute URL for a browser, signed at the start of the current window.

        It is the same in every process until the window ends, lives one more window, and makes the
        server answer with a Cache-Control of one window. Nothing is sent to make it.

        :param now: aware; the present by default.
        :raise ValueError: ``now`` is naive.
        """
        if now is None:
            now = datetime.now(UTC)
        elif now.tzinfo is None:
            raise ValueError("The moment to sign for must be aware of its time zone.")
        return self._signer.sign(check_key(key), now.timestamp())

    def _make_public_base_url(self) -> str:
        """All that stands before a key."""
        if not self._public_endpoint_url:
            # Amazon's own addresses depend on region and partition, and botocore has the rules.
            parameters = {"Bucket": self._bucket, "Key": "key"}
            url = self._get_client().generate_presigned_url("get_object", Params=parameters)
            return url.partition("?")[0].removesuffix("key")
        parts = urlsplit(self._public_endpoint_url)
        if self._addressing_style == "virtual":
            return f"{parts.scheme}://{self._bucket}.{parts.netloc}{parts.path}/"
        return f"{self._public_endpoint_url}/{quote(self._bucket, safe='~')}/"

    # --- Health ---

    def check(self) -> None:
        """Write, read through both endpoints and delete a small object.

        :raise ServiceError: which endpoint fails, and why, in words. Reason ``public_endpoint``:
            all is well but for the address that browsers are given.
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
                    f"The object storage at {self._describe().endpoint} gave back other bytes "
                    "than were stored.",
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
                auth=lambda request: request,  # None would add what a .netrc file holds.
                timeout=self._timeouts_seconds,
                allow_redirects=False,
            )
        # "from None", as the text of these errors holds the signed address.
        except requests.exceptions.SSLError:
            raise ServiceRefusedError(
                SERVICE,
                operation,
                "public_endpoint",
                f"The public S3 endpoint {place} shows no certificate that this machine trusts.",
            ) from None
        except requests.RequestException as error:
            raise ServiceBusyError(
                SERVICE,
                operation,
                f"The public S3 endpoint {place} cannot be reached from this machine "
                f"({type(error).__name__}).",
            ) from None
        if answer.status_code != 200 or answer.content != data:
            raise judge_public_answer(answer.status_code, answer.content, place)

    # --- The client and its errors ---

    def _get_client(self) -> "S3Client":
        """The client of this process, made at first use.

        A child of a fork makes its own: it must not speak on its parent's connections. Threads that
        come at the same time may make one each, of which one stays; that costs a moment and no lock
        (which a fork could leave closed).
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
                # The newer checksums are unknown to many servers. Uploads are still checked: the
                # signature holds the SHA-256 of the body.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                user_agent_extra="ImageHub",
            ),
        )
        client.meta.events.register("before-sign.s3.DeleteObjects", use_content_md5)
        return client

    @contextmanager
    def _translated(self, operation: str) -> Iterator[None]:
        """Turn vendor errors into ours."""
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
        """What it means to us that no usable answer came."""
        place = self._describe().endpoint
        if isinstance(error, SSLError):
            return ServiceRefusedError(
                SERVICE,
                operation,
                "bad_certificate",
                f"The object storage at {place} shows no certificate that this machine trusts.",
            )
        if isinstance(error, (HTTPClientError, NoConnectionError)):
            return ServiceBusyError(
                SERVICE,
                operation,
                f"The object storage at {place} cannot be reached ({type(error).__name__}).",
            )
        if isinstance(error, ParamValidationError):
            return make_refusal(operation, "bad_bucket_name", self._describe())
        return make_stranger_error(operation, self._describe(), type(error).__name__)

    def _describe(self) -> Place:
        endpoint = self._endpoint_url or f"Amazon ({self._region})"
        return Place(self._bucket, self._region, endpoint)


def clean_endpoint_url(url: str) -> str:
    """The address of an S3 server without a closing slash; "" stays "".

    :raise ValueError: it is no such address.
    """
    if not url:
        return ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("The address of an S3 server starts with http:// or https:// and a host.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("The address of an S3 server holds no user, password, ? or #.")
    return url.rstrip("/")


def check_key(key: str) -> str:
    """The key itself, if browsers and all servers read it the same way.

    :raise ValueError: it is empty, or has a step that is empty, "." or "..".
    """
    # Nearly all keys are hashes in lower case, so the quick look is enough.
    if not key or "//" in f"/{key}/" or "/." in f"/{key}":
        steps = key.split("/")
        if any(step in ("", ".", "..") for step in steps):
            raise ValueError("A key has steps of at least one character, none of them . or ..")
    return key


def use_content_md5(request: AWSRequest, **_: Any) -> None:
    """Guard DeleteObjects with Content-MD5 instead of the CRC-32 that botocore puts there.

    Amazon takes either; Google, Ceph and older servers demand the former.

    Source: "DeleteObjects", Amazon S3 API reference, request header Content-MD5.
    """
    for name in list(request.headers.keys()):
        if name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-checksum-")):
            del request.headers[name]
    body = request.body
    content = body.encode() if isinstance(body, str) else bytes(body or b"")
    request.headers["Content-MD5"] = make_content_md5(content)


def make_content_md5(content: bytes) -> str:
    """The value of the header Content-MD5 (RFC 1864), against faults on the way."""
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def get_code(error: ClientError) -> str:
    """S3's word for an error; the status as text where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def get_status(error: ClientError) -> int:
    """The HTTP status of an error, 0 where it is unknown."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
