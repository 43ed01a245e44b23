"""Measure presigned URLs: computed by ImageHub and by botocore.

::

    .venv/bin/python benchmarks/presign.py [--count 5000]

Both sign the same keys for the same moment, and must agree on every byte. Times are of one
processor, so other programs on the machine hardly matter. "Kept" is what a second page of the same
window pays.
"""

import argparse
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime

import botocore.auth

from imagehub.clients.s3 import S3Store

PAGE_URL_COUNT = 48
ROUNDS = 5


def measure(sign: Callable[[str], str], keys: list[str]) -> float:
    """Return the processor time of one URL in microseconds, the best of several rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for key in keys:
            sign(key)
        best = min(best, time.process_time() - started)
    return best / len(keys) * 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare ways to sign URLs.")
    parser.add_argument("--count", type=int, default=2000, help="keys to sign (%(default)s)")
    count = parser.parse_args().count

    store = S3Store(
        bucket="imagehub",
        access_key_id="benchmark",
        secret_access_key="benchmark-secret",
        endpoint_url="http://127.0.0.1:9710",
    )
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
    keys = [f"renditions/{d[:2]}/{d[2:4]}/{d}.webp" for d in digests]
    start = datetime(2026, 5, 4, tzinfo=UTC)
    client = store._get_client()

    def sign_with_botocore(key: str) -> str:
        parameters = {
            "Bucket": "imagehub",
            "Key": key,
            "ResponseCacheControl": "public, max-age=86400, immutable",
        }
        url: str = client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=172_800)
        return url

    def sign_anew(key: str) -> str:
        store._signer._window.sign.cache_clear()
        return store.make_presigned_url(key, start)

    def sign_kept(key: str) -> str:
        return store.make_presigned_url(key, start)

    # botocore signs for the current time, so its clock is set to the start of the window.
    botocore.auth.get_current_datetime = (  # type: ignore[attr-defined]
        lambda remove_tzinfo=True: start.replace(tzinfo=None)
    )
    for key in keys[:200]:
        assert sign_anew(key) == sign_with_botocore(key), "the two do not agree"

    theirs = measure(sign_with_botocore, keys)
    print(f"{'':28}{'µs a URL':>10}{f'ms for {PAGE_URL_COUNT}':>12}{'times faster':>15}")
    for name, cost in (
        ("botocore", theirs),
        ("by hand, first time", measure(sign_anew, keys)),
        ("by hand, kept", measure(sign_kept, keys)),
    ):
        print(f"{name:28}{cost:10.2f}{cost * PAGE_URL_COUNT / 1000:12.3f}{theirs / cost:15.0f}")


if __name__ == "__main__":
    main()
