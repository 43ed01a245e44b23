"""The hooks of the web server; gunicorn reads this module as its configuration.

That is why the functions have their names.
"""

from typing import Any

from imagehub import metrics, traces
from imagehub.config import load_settings
from imagehub.logs import use_format
from imagehub.runtime.garbage import collect_at_rest


def on_starting(server: Any) -> None:
    """Set up logs and metrics for the web server's processes, before they are forked."""
    settings = load_settings()
    use_format(settings.log_format, "web", server.log.error_log, server.log.access_log)
    if settings.has_metrics:
        metrics.start(settings.data_dir, "web")


def post_worker_init(_worker: Any) -> None:
    """Set up collector and traces in a web process, once it has loaded the application."""
    settings = load_settings()
    traces.start(settings.traces_url, "web", settings.traces_percent)
    collect_at_rest()


def worker_exit(_server: Any, _worker: Any) -> None:
    """Send the last spans of a web process."""
    traces.stop()


def child_exit(_server: Any, worker: Any) -> None:
    """Drop the requests that a web process had begun when it ended."""
    metrics.forget_process(worker.pid)


def on_exit(_server: Any) -> None:
    metrics.stop()
