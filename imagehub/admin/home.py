"""The admin's first page: what needs a person, what there is, what runs, what was done lately."""

import time
from typing import Any

from flask import current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.admin.numbers import read_number
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.imports import jobs as imports_jobs
from imagehub.domain.imports import reports
from imagehub.domain.people import audit
from imagehub.domain.site import overview
from imagehub.queue import enqueue_job
from imagehub.web import note_action
from imagehub.wiring import get_clients, get_given_settings, get_settings

_LATEST = 8
_TOTALS = "imagehub.totals"
_KEPT_SECONDS = 60.0


@blueprint.get("/admin/")
def show_home() -> ResponseReturnValue:
    """Everything at a glance."""
    session = db.session()
    hub = overview.describe_hub(
        session, get_clients(), has_secret=bool(get_settings().ms_client_secret)
    )
    latest = audit.list_entries(session, limit=_LATEST)
    return render_template(
        "admin/home.html",
        hub=hub,
        totals=_get_totals(),
        has_client_id=bool(get_settings().ms_client_id),
        entries=latest.entries,
        max_counted=overview.MAX_COUNTED,
        is_root_given="root_folder" in get_given_settings().given,
    )


def _get_totals() -> overview.Totals:
    """What there is; of a large library, what there was within the last minute."""
    session = db.session()
    if not overview.is_large(session):
        return overview.measure_totals(session)
    kept: dict[str, tuple[float, overview.Totals]] = current_app.extensions.setdefault(_TOTALS, {})
    now = time.monotonic()
    if "all" not in kept or now - kept["all"][0] > _KEPT_SECONDS:
        kept["all"] = (now, overview.measure_totals(session))
    return kept["all"][1]


@blueprint.get("/admin/home/jobs")
def list_running_jobs() -> ResponseReturnValue:
    """How far the running imports are, for the page's script."""
    jobs = overview.list_running_jobs(db.session())
    return jsonify({"jobs": [_make_job(job) for job in jobs]})


@blueprint.post("/admin/home/retry")
def retry_failed_items() -> ResponseReturnValue:
    """Queue an import's failed items again."""
    job_id = read_number(request.form.get("job", ""), "import")
    count = imports_jobs.retry_items(db.session(), job_id)
    if count:
        words = f"Tried {count} failed {'picture' if count == 1 else 'pictures'} again."
        note_action("retry", "import", job_id, words)
    db.session.commit()
    if count:
        enqueue_job(get_settings(), job_id, count)
    say("They are tried again." if count else "There was nothing left to try again.")
    return redirect(url_for("admin.show_home"))


def _make_job(job: reports.JobReport) -> dict[str, Any]:
    return {
        "id": job.id,
        "finished": job.finished_count,
        "total": job.item_count,
        "failed": job.failed_count,
        "words": describe_progress(job),
    }


@blueprint.app_template_filter("progress_words")
def describe_progress(job: reports.JobReport) -> str:
    """``12 of 40 pictures, 1 failed``; and what the rest waits for."""
    words = f"{job.finished_count:,} of {job.item_count:,} pictures"
    if job.failed_count:
        words += f", {job.failed_count:,} failed"
    if job.waiting_reason and not job.running_count:
        words += f". Waiting: {job.waiting_reason}"
    return words
