"""An import with each available S3 server; the usual cases use the embedded one."""

from collections.abc import Callable

import requests

from tests.fixtures.importing import ImportHub
from tests.fixtures.s3 import S3Server


def test_an_import_ends_with_pictures_that_browsers_can_load(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str, any_s3_server: S3Server
) -> None:
    hub = make_import_hub(
        sqlite_url,
        IMAGEHUB_S3_ENDPOINT_URL=any_s3_server.endpoint_url,
        IMAGEHUB_S3_ACCESS_KEY_ID=any_s3_server.access_key_id,
        IMAGEHUB_S3_SECRET_ACCESS_KEY=any_s3_server.secret_access_key,
        IMAGEHUB_S3_REGION=any_s3_server.region,
    )
    job_id = hub.create(hub.put_pictures("Works", 3))
    assert hub.work(job_id) == ["done"] * 3
    hub.check_stores_agree()
    keys = hub.list_keys()
    assert len(keys) == 3
    for key in keys:
        answer = requests.get(hub.clients.store.make_presigned_url(key), timeout=20)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp")
    # An object that nothing refers to is removed, one that is missing is noticed.
    lost = min(keys)
    hub.clients.store.delete_objects([lost])
    hub.clients.store.put_object("renditions/left-over", b"x", "image/webp")
    assert hub.reconcile(fix=False).missing_count == 1
    hub.clients.store.delete_objects(hub.list_keys())
