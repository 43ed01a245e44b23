"""Let scripts of web pages read renditions (cross-origin resource sharing)."""

import logging
from typing import TYPE_CHECKING, Any

from imagehub.clients import boto

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)


def set_cors_rule(client: "S3Client", bucket: str) -> bool:
    """Let scripts of all pages read objects by presigned URLs, if the bucket has no rules.

    Return whether a rule was set. Some servers have no rules for buckets: MinIO allows all pages,
    and OpenStack Swift has a setting for the whole server.
    """
    try:
        client.get_bucket_cors(Bucket=bucket)
        return False
    except boto.ClientError as error:
        if error.response.get("Error", {}).get("Code") != "NoSuchCORSConfiguration":
            return False
    except boto.BotoCoreError:
        return False
    rule: Any = {
        "AllowedOrigins": ["*"],
        "AllowedMethods": ["GET", "HEAD"],
        "AllowedHeaders": ["*"],
        "MaxAgeSeconds": 86_400,
    }
    try:
        client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    except (boto.BotoCoreError, boto.ClientError) as error:
        log.warning("Setting a CORS rule for bucket %s failed (%s).", bucket, type(error).__name__)
        return False
    return True
