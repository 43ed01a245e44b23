"""Whether the hub runs and its services answer, asked by load balancers and monitoring."""

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen

import pytest
import yaml

from imagehub.errors import ServiceRefusedError
from imagehub.web import health
from imagehub.web.health import Check, Readiness, describe_failure
from tests.fixtures.database import MariaDB
from tests.fixtures.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server
from tests.fixtures.site import ConnectedSite, Site, make_site
from tests.support import ROOT, get_free_port


def make_hub(tmp_path: Path, site_folder: Path, s3_url: str, **settings: str) -> Site:
    shutil.copytree(site_folder, tmp_path / "site")
    return make_site(
        tmp_path / "site",
        s3_endpoint_url=s3_url,
        s3_access_key_id=ACCESS_KEY_ID,
        s3_secret_access_key=SECRET_ACCESS_KEY,
        **settings,
    )


def test_the_web_server_says_that_it_runs_at_both_addresses(site: Site) -> None:
    for path in ("/health", "/healthz"):
        answer = site.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_hub_whose_services_answer_is_ready(unconnected_site: ConnectedSite) -> None:
    answer = unconnected_site.get("/readyz")
    assert answer.status_code == 200
    checks = {"database": "ok", "s3": "ok", "queue": "ok"}
    assert answer.json == {"status": "ok", "checks": checks}
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_a_fresh_hub_without_a_bucket_is_ready(
    tmp_path: Path, site_folder: Path, s3_server: S3Server
) -> None:
    hub = make_hub(tmp_path, site_folder, s3_server.endpoint_url, s3_bucket="not-created-yet")
    assert hub.get("/readyz").json["checks"]["s3"] == "ok"


def test_a_storage_that_is_away_is_named_without_its_address(
    tmp_path: Path,
    site_folder: Path,
    start_s3: Callable[..., AbstractContextManager[tuple["Popen[str]", str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "KEPT_SECONDS", 0.0)
    with start_s3(tmp_path / "objects") as (_, address):
        hub = make_hub(tmp_path, site_folder, address)
        assert hub.get("/readyz").status_code == 200
    answer = hub.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["status"] == "failed"
    assert answer.json["checks"]["s3"] in ("cannot be reached", "does not answer in time")
    assert answer.json["checks"]["database"] == answer.json["checks"]["queue"] == "ok"
    assert "127.0.0.1" not in answer.text
    assert hub.get("/healthz").status_code == 200


def test_a_storage_that_refuses_the_key_is_named(
    tmp_path: Path, site_folder: Path, s3_server: S3Server
) -> None:
    hub = make_hub(tmp_path, site_folder, s3_server.endpoint_url, s3_region="us-east-1")
    wrong = make_site(
        tmp_path / "site",
        s3_endpoint_url=s3_server.endpoint_url,
        s3_access_key_id="another-key",
        s3_secret_access_key="another-secret",
    )
    assert hub.get("/readyz").status_code == 200
    said = wrong.get("/readyz").json["checks"]["s3"]
    assert said.startswith("refuses access (")
    assert "another" not in said


def test_a_redis_server_that_is_away_is_named(
    tmp_path: Path, site_folder: Path, s3_server: S3Server
) -> None:
    url = f"redis://:secret-of-redis@127.0.0.1:{get_free_port()}/0"
    hub = make_hub(tmp_path, site_folder, s3_server.endpoint_url, queue_url=url)
    answer = hub.get("/readyz")
    assert answer.status_code == 503
    checks = {"database": "ok", "s3": "ok", "queue": "cannot be reached"}
    assert answer.json["checks"] == checks


@pytest.mark.usefixtures("redis_url")
def test_a_redis_server_that_answers_is_ok(
    tmp_path: Path, site_folder: Path, s3_server: S3Server, redis_url: str
) -> None:
    hub = make_hub(tmp_path, site_folder, s3_server.endpoint_url, queue_url=redis_url)
    assert hub.get("/readyz").json["checks"]["queue"] == "ok"


def test_a_database_that_is_away_is_named(
    start_mariadb: Callable[..., AbstractContextManager[MariaDB]], tmp_path: Path
) -> None:
    with start_mariadb() as server:
        hub = make_site(tmp_path / "site", database_url=server.create_database())
        assert hub.get("/readyz").json["checks"]["database"] == "ok"
    hub.app.extensions["imagehub.readiness"] = health.make_readiness(hub.app)
    answer = hub.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["database"] == "cannot be reached"
    assert str(server.socket) not in answer.text


# --- Time -----------------------------------------------------------------------------------------


def test_a_service_that_does_not_answer_delays_nothing_and_is_asked_once() -> None:
    asked: list[str] = []
    release = threading.Event()

    def hang() -> None:
        asked.append("slow")
        release.wait(60)

    readiness = Readiness((Check("slow", hang), Check("quick", lambda: None)), wait_seconds=0.05)
    try:
        for _ in range(3):
            assert readiness.ask() == {"slow": "does not answer in time", "quick": "ok"}
            readiness._asked_at = time.monotonic() - health.KEPT_SECONDS
        assert asked == ["slow"]
    finally:
        release.set()


def test_an_answer_is_kept_for_a_moment() -> None:
    asked: list[int] = []
    readiness = Readiness((Check("it", lambda: asked.append(1)),))
    assert [readiness.ask() for _ in range(5)] == [{"it": "ok"}] * 5
    assert len(asked) == 1
    readiness._asked_at = time.monotonic() - health.KEPT_SECONDS
    readiness.ask()
    assert len(asked) == 2


def test_while_one_request_asks_others_get_the_answer_before() -> None:
    entered, release = threading.Event(), threading.Event()

    def ask() -> None:
        if readiness._results:
            entered.set()
            release.wait(60)
            raise OSError

    readiness = Readiness((Check("it", ask),), wait_seconds=60)
    assert readiness.ask() == {"it": "ok"}
    readiness._asked_at = time.monotonic() - health.KEPT_SECONDS
    first = threading.Thread(target=readiness.ask)
    first.start()
    assert entered.wait(60)
    assert readiness.ask() == {"it": "ok"}
    release.set()
    first.join(60)
    assert readiness.ask() == {"it": "cannot be reached"}


def test_reasons_hold_no_text_of_an_error() -> None:
    secret = "mysql://user:password@host"
    assert describe_failure(OSError(secret)) == "cannot be reached"
    assert describe_failure(ValueError(secret)) == "fails (ValueError)"
    refused = ServiceRefusedError("object storage", "look", "access_denied", secret)
    assert describe_failure(refused) == "refuses access (access_denied)"


# --- Container files ------------------------------------------------------------------------------


def test_container_files_ask_for_addresses_that_exist(site: Site) -> None:
    paths = {rule.rule for rule in site.app.url_map.iter_rules()}
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/web.yaml").read_text())
    container = next(iter(documents))["spec"]["template"]["spec"]["containers"][0]
    probes = [f"{kind}Probe" for kind in ("startup", "readiness", "liveness")]
    asked = [container[probe]["httpGet"]["path"] for probe in probes]
    assert asked == ["/readyz", "/healthz", "/healthz"]
    assert set(asked) <= paths
    assert container["startupProbe"]["timeoutSeconds"] > health.WAIT_SECONDS
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    check = services["web"]["healthcheck"]
    assert ":8000/readyz'" in check["test"][-1]
    assert int(check["timeout"].removesuffix("s")) > health.WAIT_SECONDS
