"""The metrics of a worker on a machine of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from imagehub import metrics
from imagehub.config import Settings, load_settings
from imagehub.runtime.worker_metrics import serve_metrics
from tests.support import get_free_port

TOKEN = "token-of-prometheus-1234"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Make = Callable[..., Settings]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    def make(**settings: str) -> Settings:
        named = {f"IMAGEHUB_{name.upper()}": value for name, value in settings.items()}
        port = {"IMAGEHUB_WORKER_METRICS_PORT": str(get_free_port())}
        return load_settings({"IMAGEHUB_DATA_DIR": str(tmp_path), **port, **named}, None)

    yield make
    metrics.stop()


def ask(port: int, path: str = "/metrics", **headers: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=30)


def test_a_worker_answers_with_what_it_has_counted(make: Make, tmp_path: Path) -> None:
    settings = make(metrics_token=TOKEN)
    metrics.start(tmp_path, "worker")
    metrics.count_import_item("done")
    with serve_metrics(settings) as port:
        answer = ask(port, **BEARER)
        assert answer.status_code == 200
        assert "imagehub_import_items_total{" in answer.text
        assert answer.headers["Content-Type"] == metrics.CONTENT_TYPE
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            refused = ask(port, **headers)
            assert (refused.status_code, refused.text) == (401, metrics.REFUSAL)
        assert ask(port, "/", **BEARER).status_code == 404
    with pytest.raises(requests.ConnectionError):
        ask(port, **BEARER)


def test_in_production_it_takes_networks_only(make: Make) -> None:
    production = {
        "env": "production",
        "public_url": "https://hub.example.org",
        "secret_key": "k" * 40,
        "token_key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "metrics_token": TOKEN,
    }
    with serve_metrics(make(**production)) as port:
        assert ask(port, **BEARER).status_code == 401
    with serve_metrics(make(**production, metrics_networks="127.0.0.0/8")) as port:
        assert ask(port).status_code == 200
        assert ask(port, **{"X-Forwarded-For": "127.0.0.1"}).status_code == 401
    with serve_metrics(make(**production, metrics_networks="10.0.0.0/8")) as port:
        assert ask(port).status_code == 401


def test_by_default_it_does_not_listen(make: Make) -> None:
    with serve_metrics(make()) as port:
        assert port == 0
    with serve_metrics(make(metrics_token=TOKEN, worker_metrics_port="0")) as port:
        assert port == 0
