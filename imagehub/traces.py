"""Trace requests, files of imports, and calls of services, with OpenTelemetry.

Nothing else here uses its library, which the extra ``imagehub[traces]`` installs. The functions can
be called everywhere and do nothing until :func:`start`. Spans contain names of endpoints and
operations, statements without values, numbers and statuses, but no address, name or token.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

# The header and the text of a trace's context. Source: W3C, "Trace Context".
HEADER = "traceparent"
_SECONDS_TO_SEND = 5


class _Active:
    """The library's provider and tracer of this process."""

    def __init__(
        self, url: str, program: str, percent: int, exporter: "SpanExporter | None"
    ) -> None:
        # Imported here because most hubs need no traces; ``config`` checks that they are installed.
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider, sampling
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        processor: BatchSpanProcessor | SimpleSpanProcessor
        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            sender = OTLPSpanExporter(endpoint=url, timeout=_SECONDS_TO_SEND)
            processor = BatchSpanProcessor(sender)
        else:
            processor = SimpleSpanProcessor(exporter)
        sampler = sampling.ParentBased(sampling.TraceIdRatioBased(percent / 100))
        resource = Resource.create({"service.name": f"imagehub-{program}"})
        self.provider = TracerProvider(sampler=sampler, resource=resource)
        self.provider.add_span_processor(processor)
        self.tracer = self.provider.get_tracer("imagehub")


_active: _Active | None = None


def start(
    url: str, program: str, percent: int = 100, exporter: "SpanExporter | None" = None
) -> None:
    """Trace from now on in this process; call it after it was forked.

    :param url: where a collector takes spans by OTLP over HTTP; "" does nothing.
    :param program: ``web`` or ``worker``.
    :param percent: of requests, and of files whose import was not started by a traced request.
    :param exporter: takes the spans instead, at once.
    """
    global _active
    if (url or exporter is not None) and _active is None:
        _active = _Active(url, program, percent, exporter)


def stop() -> None:
    """Send what has not been sent yet, and stop."""
    global _active
    if _active is not None:
        _active.provider.shutdown()
    _active = None


class Span:
    """A part of a trace, or nothing if there are no traces."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        if self._span is not None:
            self._span.update_name(name)

    def note(self, **facts: str | int) -> None:
        """Add attributes; ``_`` in a name stands for a dot, and ``__`` for an underscore."""
        if self._span is not None:
            for name, value in facts.items():
                parts = [part.replace("_", ".") for part in name.split("__")]
                self._span.set_attribute("_".join(parts), value)

    def fail(self) -> None:
        if self._span is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_status(StatusCode.ERROR)


_NOTHING = Span()


@contextmanager
def span(name: str, kind: str = "internal", parent: str = "", **facts: str | int) -> Iterator[Span]:
    """Trace a block as a part of what this thread does.

    An error that leaves the block marks the span; its text is not recorded.

    :param kind: ``server``, ``client``, ``consumer`` or ``internal``.
    :param parent: the context of another process that this continues, as of :func:`get_context`.
    """
    if _active is None:
        yield _NOTHING
        return
    from opentelemetry.trace import SpanKind

    with _active.tracer.start_as_current_span(
        name,
        context=_read_context(parent) if parent else None,
        kind=SpanKind[kind.upper()],
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        own = Span(made)
        own.note(**facts)
        try:
            yield own
        except Exception as error:
            own.note(error_type=type(error).__name__)
            own.fail()
            raise


def begin_query(statement: str) -> Any:
    """Begin the span of a statement; ``end_query`` ends it. None without a span around it."""
    if _active is None:
        return None
    from opentelemetry import trace

    if not trace.get_current_span().is_recording():
        return None
    made = _active.tracer.start_span(f"database {statement.split(None, 1)[0].upper()}")
    made.set_attribute("db.query.text", statement[:2000])
    return made


def end_query(made: Any, has_failed: bool = False) -> None:
    if made is not None:
        if has_failed:
            Span(made).fail()
        made.end()


def get_context() -> str:
    """Return the context of this thread's span, to continue it in another process, or ""."""
    if _active is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(HEADER, "")


def _read_context(text: str) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({HEADER: text})
