"""The metrics: closed unless allowed, and what they say of requests and of the hub."""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from imagehub import metrics
from imagehub.config import SettingsError, load_settings
from imagehub.database import now_utc
from imagehub.models import DriveAccount, ImportItem, ImportJob
from imagehub.wiring import get_settings
from tests.fixtures.site import Site, make_site

TOKEN = "token-of-prometheus-1234"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HTTPS = "https://hub.example.org"
PRODUCTION = {
    "env": "production",
    "public_url": HTTPS,
    "secret_key": "k" * 40,
    "token_key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
}
MakeHub = Callable[..., Site]


@pytest.fixture
def make_hub(tmp_path: Path, site_folder: Path) -> Iterator[MakeHub]:
    def make(**settings: str) -> Site:
        shutil.copytree(site_folder, tmp_path / "site")
        return make_site(tmp_path / "site", **settings)

    yield make
    metrics.stop()


def read(answer: TestResponse) -> dict[tuple[str, str], float]:
    """Return (sample, values of its labels without program and host) → value."""
    assert answer.status_code == 200, answer.text
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k not in ("program", "host", "le")}
            found[sample.name, ",".join(labels.values())] = sample.value
    return found


# --- Who may read them ----------------------------------------------------------------------------


def test_without_a_setting_there_are_no_metrics(site: Site) -> None:
    assert site.get("/metrics").status_code == 404
    assert site.signed_in_client().get("/metrics").status_code == 404
    assert site.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    assert not any(path.name == "metrics" for path in _list_data(site))


def _list_data(site: Site) -> list[Path]:
    return list(get_settings(site.app).data_dir.iterdir())


def test_a_token_opens_them(make_hub: MakeHub) -> None:
    site = make_hub(metrics_token=TOKEN)
    answer = site.get("/metrics", headers=BEARER)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["Cache-Control"] == "no-store"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        refused = site.get("/metrics", headers=headers)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert "imagehub_" not in refused.text
    assert site.get(f"/metrics?token={TOKEN}").status_code == 401
    # The admin has no use for them.
    assert site.signed_in_client().get("/metrics").status_code == 401


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("10.1.2.3", {}, 200),
        ("::ffff:10.1.2.3", {}, 200),
        ("fd00::1", {}, 200),
        ("192.0.2.1", {}, 401),
        ("", {}, 401),
        # A proxy that the settings do not know has passed on the request of somebody else.
        ("10.1.2.3", {"X-Forwarded-For": "192.0.2.1"}, 401),
        ("10.1.2.3", {"Forwarded": "for=192.0.2.1"}, 401),
    ],
)
def test_a_network_opens_them(
    make_hub: MakeHub, address: str, headers: dict[str, str], status: int
) -> None:
    site = make_hub(metrics_networks="10.0.0.0/8, fd00::/8")
    answer = site.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status


@pytest.mark.parametrize(("client", "status"), [("10.1.2.3", 200), ("192.0.2.1", 401)])
def test_behind_a_proxy_the_address_that_it_names_counts(
    make_hub: MakeHub, client: str, status: int
) -> None:
    site = make_hub(metrics_networks="10.0.0.0/8", proxy_count="1")
    answer = site.get(
        "/metrics",
        headers={"X-Forwarded-For": client},
        environ_base={"REMOTE_ADDR": "10.9.9.9"},
    )
    assert answer.status_code == status


def test_in_production_plain_http_is_for_networks_only(make_hub: MakeHub) -> None:
    site = make_hub(metrics_token=TOKEN, metrics_networks="10.0.0.0/8", **PRODUCTION)
    inside, outside = {"REMOTE_ADDR": "10.1.2.3"}, {"REMOTE_ADDR": "192.0.2.1"}
    assert site.get("/metrics", environ_base=inside).status_code == 200
    assert site.get("/metrics", environ_base=outside).status_code == 401
    refused = site.get("/metrics", headers=BEARER, environ_base=outside)
    assert refused.status_code == 403
    assert "imagehub_" not in refused.text
    assert site.get("/metrics", base_url=HTTPS, headers=BEARER).status_code == 200


def test_short_tokens_and_wrong_networks_are_refused(tmp_path: Path) -> None:
    for name, value in (("METRICS_TOKEN", "short"), ("METRICS_NETWORKS", "10.0.0.0/33")):
        with pytest.raises(SettingsError, match=f"IMAGEHUB_{name}"):
            load_settings({"IMAGEHUB_DATA_DIR": str(tmp_path), f"IMAGEHUB_{name}": value}, None)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    named = {"IMAGEHUB_METRICS_TOKEN_FILE": str(tmp_path / "token")}
    settings = load_settings({"IMAGEHUB_DATA_DIR": str(tmp_path), **named}, None)
    assert settings.metrics_token == TOKEN
    assert TOKEN not in repr(settings)


# --- What they say --------------------------------------------------------------------------------


def test_requests_are_counted_by_endpoint_whether_cached_or_not(make_hub: MakeHub) -> None:
    site = make_hub(metrics_token=TOKEN)
    site.add_group()
    for _ in range(3):
        assert site.get("/groups/1").status_code == 200
    assert site.get("/groups/77").status_code == 404
    assert site.get("/no/such/secret-address").status_code == 404
    answer = site.get("/metrics", headers=BEARER)
    found = read(answer)
    count = "imagehub_http_request_seconds_count"
    assert found[count, "gallery.show_group,GET,2xx"] == 3
    assert found[count, "gallery.show_group,GET,4xx"] == 1
    assert found[count, "none,GET,4xx"] == 1
    assert "secret-address" not in answer.text
    # This request itself.
    assert found["imagehub_http_requests_in_progress", ""] == 1


def test_the_state_of_the_hub_is_measured(make_hub: MakeHub) -> None:
    site = make_hub(metrics_token=TOKEN)
    now = now_utc()
    with site.session() as session:
        used_at = now - timedelta(days=40)
        account = DriveAccount(home_account_id="a", token_cache=b"x", refreshed_at=used_at)
        session.add(account)
        session.flush()
        job = ImportJob(drive_account_id=account.id)
        session.add(job)
        session.flush()
        for state, minutes in (
            ("queued", -5), ("queued", -2), ("queued", 9), ("running", -9), ("failed", -9),
            ("done", -9),
        ):  # fmt: skip
            at = now + timedelta(minutes=minutes)
            session.add(ImportItem(job_id=job.id, drive_item_id="f", state=state, available_at=at))
    found = read(site.get("/metrics", headers=BEARER))
    items = {"due": 2, "later": 1, "running": 1, "failed": 1}
    for state, count in items.items():
        assert found["imagehub_queue_items", state] == count
    assert 300 <= found["imagehub_queue_oldest_due_seconds", ""] < 400
    assert found["imagehub_workers", ""] == 0
    assert found["imagehub_queue_calls", ""] == 0
    # Its token cache cannot be decrypted.
    assert found["imagehub_onedrive_connections", "needs_reconnect"] == 1
    assert found["imagehub_onedrive_connections", "connected"] == 0
    assert found["imagehub_onedrive_connections_needing_attention", ""] == 1
    assert found["imagehub_service_up", "database"] == 1
    assert found["imagehub_service_up", "s3"] == 0


def test_the_age_of_a_sign_in_is_measured(make_hub: MakeHub) -> None:
    site = make_hub(metrics_token=TOKEN)
    with site.session() as session:
        vault = site.app.extensions["imagehub"].clients.vault
        session.add(
            DriveAccount(
                home_account_id="a",
                token_cache=vault.seal("{}"),
                refreshed_at=now_utc() - timedelta(days=40),
            )
        )
    found = read(site.get("/metrics", headers=BEARER))
    age_days = found["imagehub_onedrive_token_age_seconds", "1"] / 86_400
    assert 40 <= age_days < 40.1
    assert found["imagehub_onedrive_connections", "connected"] == 1
    assert found["imagehub_onedrive_connections_needing_attention", ""] == 0
