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
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import requests

from imagehub import metrics
from imagehub.clients import ObjectInfo, boto
from imagehub.clients.http import NoAuth
from imagehub.clients.s3_cors import set_cors_rule
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
    make_skew_error,
    measure_skew_seconds,
)
from imagehub.clients.sigv4 import WindowSigner
from imagehub.errors import NotFoundError, ServiceBusyError, ServiceError, ServiceRefusedError
from imagehub.messages import Message

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)
# "DeleteObjects", Amazon S3 API reference, allows 1,000. Swift deletes them one after the other and
# answers at the end, which must be before the read timeout.
_DELETED_AT_ONCE = 250


class S3Store:
    """One bucket; its methods are those of :class:`imagehub.clients.ObjectStore`.

    Can be shared between threads, and created before a process forks.

    :param bucket: its name; :meth:`create_bucket` creates it.
    :param access_key_id: a permanent key that may list, read, write and delete in the bucket. An
        address signed with temporary credentials would expire with them.
    :param endpoint_url: ``https://host[:port]`` of the S3 API; empty for Amazon.
    :param public_endpoint_url: the same server as browsers reach it, if different. A proxy there
        must forward path, query and Host unchanged, as all three are signed.
    :param is_public_path_removed: the proxy removes the path of ``public_endpoint_url`` from
        requests, so it is not signed.
    :param region: as the server calls it; many servers accept any.
    :param presign_window_seconds: how long an address stays the same; it is valid twice as long.
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
        is_public_path_removed: bool = False,
        region: str = "us-east-1",
        presign_window_seconds: int = 86_400,
        connect_timeout_seconds: float = 5.0,
        read_timeout_seconds: float = 30.0,
    ) -> None:
        if not bucket or not access_key_id or not secret_access_key:
            raise ValueError("Object storage needs a bucket, an access key id and its secret.")
        self._bucket = bucket
        self._region = region or "us-east-1"
        self._endpoint_url = clean_endpoint_url(endpoint_url)
        self._public_endpoint_url = clean_endpoint_url(public_endpoint_url) or self._endpoint_url
        # host/bucket/key, or bucket.host/key at Amazon.
        self._addressing_style = "path" if self._endpoint_url else "virtual"
        self._access_key_id = access_key_id
        self._secret_access_key = secret_access_key
        self._timeouts_seconds = (connect_timeout_seconds, read_timeout_seconds)
        endpoint = self._endpoint_url or f"Amazon ({self._region})"
        self._place = Place(bucket, self._region, endpoint)
        self._client_of_process: tuple[int, S3Client] | None = None
        self._signer = WindowSigner(
            self._make_public_base_url(),
            access_key_id,
            secret_access_key,
            self._region,
            presign_window_seconds,
            f"/{quote(bucket, safe='~')}/" if is_public_path_removed else "",
        )

    # --- The bucket ---

    def create_bucket(self) -> None:
        operation = "create a bucket"
        if self._has_bucket():
            return
        with self._translated(operation):
            try:
                self._create_bucket()
            except boto.ClientError as error:
                code = get_code(error)
                if code in ("AccessDenied", "AllAccessDisabled"):
                    raise make_refusal(
                        operation, "no_bucket", self._place, "not_created"
                    ) from error
                if code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise
                # Another process has created it meanwhile, or it is another customer's.
                with suppress(ServiceRefusedError):
                    if self._has_bucket():
                        return
                raise make_refusal(operation, "name_taken", self._place) from error
        set_cors_rule(self._get_client(), self._bucket)

    def _create_bucket(self) -> None:
        client = self._get_client()
        # Amazon's us-east-1 refuses its own name as a constraint, its other regions require
        # theirs. Some other servers require it, some refuse any.
        if self._region not in ("us-east-1", "auto"):
            constraint: Any = {"LocationConstraint": self._region}
            try:
                client.create_bucket(Bucket=self._bucket, CreateBucketConfiguration=constraint)
                return
            except boto.ClientError as error:
                if "LocationConstraint" not in get_code(error):
                    raise
        client.create_bucket(Bucket=self._bucket)

    def _has_bucket(self) -> bool:
        # A refused listing says why; HeadBucket answers 403 and 404 without a body.
        with self._translated("list objects"):
            try:
                answer = self._get_client().list_objects_v2(Bucket=self._bucket, MaxKeys=1)
            except boto.ClientError as error:
                if get_code(error) != "NoSuchBucket":
                    raise
                return False
        # The page of a website can be parsed as an empty listing.
        if not answer.keys() & {"Name", "KeyCount", "IsTruncated"}:
            raise make_not_s3_error("list objects", self._place, "no listing")
        return True

    # --- Objects ---

    def put_object(self, key: str, data: bytes, content_type: str) -> None:
        with self._translated("store an object"):
            self._get_client().put_object(
                Bucket=self._bucket,
                Key=check_key(key),
                Body=data,
                ContentType=content_type,
                # A rendition never changes: its key contains its hash.
                CacheControl="public, max-age=31536000, immutable",
                # The signature covers the content too, but rclone does not check that.
                ContentMD5=make_content_md5(data),
            )

    def get_object(self, key: str) -> bytes:
        with self._translated("read an object"):
            try:
                try:
                    data = self._read(key)
                except (boto.IncompleteReadError, boto.ResponseStreamingError):
                    # The client repeats requests itself, but not the reading of an answer.
                    data = self._read(key)
            except boto.ClientError as error:
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
        with self._translated("look for an object"):
            try:
                answer = self._get_client().head_object(Bucket=self._bucket, Key=check_key(key))
            except boto.ClientError as error:
                if get_code(error) not in MISSING_KEY_CODES:
                    raise
                return None
        return ObjectInfo(key, answer["ContentLength"], answer.get("ContentType", ""))

    def delete_objects(self, keys: Iterable[str]) -> None:
        remaining = iter(keys)
        while batch := [check_key(key) for key in islice(remaining, _DELETED_AT_ONCE)]:
            with self._translated("delete objects"):
                self._delete_batch(batch)

    def _delete_batch(self, keys: list[str]) -> None:
        client = self._get_client()
        try:
            answer = client.delete_objects(
                Bucket=self._bucket,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )
        except boto.ClientError as error:
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
        paginator = self._get_client().get_paginator("list_objects_v2")
        pages = iter(paginator.paginate(Bucket=self._bucket, Prefix=prefix))
        while True:
            with self._translated("list objects"):
                page = next(pages, None)
            if page is None:
                return
            for entry in page.get("Contents", ()):
                yield ObjectInfo(entry["Key"], entry["Size"])

    # --- Addresses for browsers ---

    def make_presigned_url(self, key: str, now: datetime | None = None) -> str:
        now = now or datetime.now(UTC)
        if now.tzinfo is None:
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

    def check(self) -> bool:
        key = f"checks/{secrets.token_hex(16)}.txt"
        data = secrets.token_hex(32).encode()
        self.put_object(key, data, "text/plain")
        try:
            if self.get_object(key) != data:
                raise make_refusal("read an object", "bad_answer", self._place, "other_content")
            self._check_clock(key)
            is_open = self._check_public_endpoint(key, data)
            if not is_open and set_cors_rule(self._get_client(), self._bucket):
                is_open = self._check_public_endpoint(key, data)
            return is_open
        finally:
            self.delete_objects([key])

    def _check_clock(self, key: str) -> None:
        with self._translated("look for an object"):
            answer = self._get_client().head_object(Bucket=self._bucket, Key=key)
        skew_seconds = measure_skew_seconds(answer["ResponseMetadata"]["HTTPHeaders"])
        if skew_seconds is not None and abs(skew_seconds) > WORRYING_SKEW_SECONDS:
            raise make_skew_error("compare clocks", self._place, skew_seconds)

    def _check_public_endpoint(self, key: str, data: bytes) -> bool:
        """Read an object as a browser does; return whether scripts of any page may read it."""
        operation = "read an object through the public endpoint"
        place = replace(self._place, endpoint=self._public_endpoint_url or "Amazon")
        try:
            answer = requests.get(
                self.make_presigned_url(key),
                headers={"Origin": "https://page.example"},
                auth=NoAuth(),
                timeout=self._timeouts_seconds,
                allow_redirects=False,
            )
        # "from None", as the text of these errors contains the signed address.
        except requests.exceptions.SSLError:
            raise make_refusal(operation, "public_endpoint", place, "public_certificate") from None
        except requests.RequestException as error:
            message = Message(
                "The public S3 endpoint %(endpoint)s cannot be reached from this machine "
                "(%(error)s).",
                endpoint=place.endpoint,
                error=type(error).__name__,
            )
            raise ServiceBusyError(SERVICE, operation, message) from None
        if answer.status_code != 200 or answer.content != data:
            raise judge_public_answer(answer.status_code, answer.content, operation, place)
        return "Access-Control-Allow-Origin" in answer.headers

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
        client = boto.make_s3_client(
            endpoint_url=self._endpoint_url or None,
            region_name=self._region,
            aws_access_key_id=self._access_key_id,
            aws_secret_access_key=self._secret_access_key,
            config=boto.Config(
                signature_version="s3v4",
                s3={"addressing_style": self._addressing_style},  # type: ignore[arg-type] # checked
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                max_pool_connections=16,
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
        """Measure a call, and turn vendor errors into errors of ImageHub."""
        with metrics.measure_s3(operation), self._with_own_errors(operation):
            yield

    @contextmanager
    def _with_own_errors(self, operation: str) -> Iterator[None]:
        try:
            yield
        except boto.ClientError as error:
            raise judge_answer(
                get_code(error),
                get_status(error),
                error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}),
                operation,
                self._place,
            ) from error
        except boto.BotoCoreError as error:
            raise self._translate_failure(error, operation) from error

    def _translate_failure(self, error: "boto.BotoCoreError", operation: str) -> ServiceError:
        """Return the error for a request without a usable answer."""
        if isinstance(error, boto.SSLError):
            return make_refusal(operation, "bad_certificate", self._place)
        if isinstance(error, (boto.HTTPClientError, boto.ConnectionError)):
            message = Message(
                "The object storage at %(endpoint)s cannot be reached (%(error)s).",
                endpoint=self._place.endpoint,
                error=type(error).__name__,
            )
            return ServiceBusyError(SERVICE, operation, message)
        if isinstance(error, boto.ParamValidationError):
            return make_refusal(operation, "bad_bucket_name", self._place)
        return make_not_s3_error(operation, self._place, type(error).__name__)


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


def use_content_md5(request: "AWSRequest", **_: Any) -> None:
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


def get_code(error: "boto.ClientError") -> str:
    """Return S3's code of an error, or the status as text if the answer has no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def get_status(error: "boto.ClientError") -> int:
    """Return the HTTP status of an error, 0 if unknown."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
