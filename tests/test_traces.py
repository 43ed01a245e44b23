"""Traces: what becomes a span, and that none holds a secret."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from imagehub import metrics, traces
from imagehub.config import SettingsError, load_settings
from imagehub.config_values import has_package
from imagehub.logs import set_facts
from imagehub.models import ImportJob
from imagehub.queries import watch_queries
from imagehub.runtime.worker import Worker
from tests.fixtures.importing import QUICK, ImportHub
from tests.fixtures.site import Site


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    traces.start("", "test", exporter=exporter)
    yield exporter
    traces.stop()


def find(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    found = [span for span in spans.get_finished_spans() if span.name == name]
    assert found, [span.name for span in spans.get_finished_spans()]
    return found[0]


def test_without_a_setting_there_are_no_traces() -> None:
    traces.start("", "test")
    with traces.span("block") as span:
        span.note(fact="x")
        span.rename("other")
        span.fail()
        assert traces.get_context() == ""
    assert traces.begin_query("SELECT 1") is None
    traces.end_query(None)
    traces.stop()


def test_a_request_is_a_span_with_its_endpoint(site: Site, spans: InMemorySpanExporter) -> None:
    number = site.get("/sign-in?secret=1").headers["X-Request-Id"]
    span = find(spans, "GET auth.sign_in")
    assert span.kind is SpanKind.SERVER
    assert span.attributes == {"imagehub.request": number, "http.response.status_code": 200}
    assert "secret" not in span.to_json()
    site.get("/no/such/address")
    assert find(spans, "GET -").attributes["http.response.status_code"] == 404


def test_only_a_trusted_proxy_can_continue_a_trace(site: Site, spans: InMemorySpanExporter) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    site.get("/healthz", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert find(spans, "GET web.show_alive").parent is None


def test_calls_and_errors_of_services_are_spans(spans: InMemorySpanExporter) -> None:
    with traces.span("outer"), metrics.measure_graph("list a folder") as call:
        call.status = 200
    inner, outer = find(spans, "onedrive: list a folder"), find(spans, "outer")
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id
    assert inner.attributes == {"http.response.status_code": 200}
    with pytest.raises(OSError), metrics.measure_s3("store an object"):
        raise OSError("a text with a secret")
    failed = find(spans, "s3: store an object")
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes == {"error.type": "OSError"}
    assert "secret" not in failed.to_json()


def test_statements_are_spans_without_values(spans: InMemorySpanExporter) -> None:
    engine = create_engine("sqlite://")
    watch_queries(engine, 0, is_traced=True)
    with engine.connect() as connection:
        # Outside of a request or job there is no trace.
        connection.execute(text("SELECT 7"))
        with traces.span("outer"):
            connection.execute(text("SELECT :word"), {"word": "a-secret-value"})
            with pytest.raises(Exception, match="no such table"):
                connection.execute(text("DELETE FROM missing"))
    engine.dispose()
    found = find(spans, "database SELECT")
    assert found.attributes == {"db.query.text": "SELECT ?"}
    assert "secret" not in found.to_json()
    assert find(spans, "database DELETE").status.status_code is StatusCode.ERROR


def test_the_import_of_a_file_continues_the_trace_of_its_request(
    import_hub: ImportHub, spans: InMemorySpanExporter
) -> None:
    chosen = import_hub.put_pictures("Work", 1)
    spans.clear()
    with traces.span("request"):
        set_facts(request_id="number-of-the-request")
        job_id = import_hub.ask(chosen)
    set_facts()
    clients = replace(import_hub.clients, renderer=import_hub.renderer)
    worker = Worker(import_hub.settings, import_hub.engine, clients, QUICK)
    worker.start()
    try:
        import_hub.finish_job(job_id)
    finally:
        worker.stop()
    request, job = find(spans, "request"), find(spans, "import")
    assert job.kind is SpanKind.CONSUMER
    assert job.parent is not None
    assert job.parent.span_id == request.context.span_id
    assert job.attributes["imagehub.job"] == job_id
    for name in ("import: download", "onedrive: download a file", "s3: store an object"):
        assert find(spans, name).context.trace_id == request.context.trace_id
    assert "number-of-the-request" in get_origin(import_hub, job_id)


def get_origin(hub: ImportHub, job_id: int) -> str:
    with Session(hub.engine) as session:
        return session.get_one(ImportJob, job_id).origin


@pytest.mark.parametrize("percent", [0, 100])
def test_a_share_of_requests_is_traced(percent: int) -> None:
    exporter = InMemorySpanExporter()
    traces.start("", "test", percent, exporter)
    try:
        with traces.span("one"):
            is_sampled = int(traces.get_context()[-2:], 16) & 1
            assert is_sampled == bool(percent)
    finally:
        traces.stop()
    assert len(exporter.get_finished_spans()) == (1 if percent else 0)


def test_a_missing_package_is_said_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert has_package("json.decoder")
    assert not has_package("json.no_such_module")
    assert not has_package("no_such_package.with.parts")
    named = {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_TRACES_URL": "http://127.0.0.1:4318/v1"}
    assert load_settings(named, None).traces_url == "http://127.0.0.1:4318/v1"
    # As in a process that has not installed it.
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(SettingsError, match=r"IMAGEHUB_TRACES_URL: needs more packages"):
        load_settings(named, None)
