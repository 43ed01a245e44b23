"""Importing with a browser: choose, look at the plan, arrange the board, start, look on."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from flask import current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from pydantic import BaseModel, Field, ValidationError

from imagehub.admin import blueprint
from imagehub.admin.numbers import find_number, read_number, read_numbers, read_page_number
from imagehub.admin.words import describe_count, is_view, say
from imagehub.clients import Drive
from imagehub.database import db
from imagehub.domain import (
    connection,
    import_board,
    import_history,
    import_plan,
    import_reading,
    import_ways,
    importing,
    left_out,
    library_edit,
    library_list,
)
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    ServiceError,
)
from imagehub.models import ImportPlan, ImportPlanFile
from imagehub.queue import enqueue_job
from imagehub.web import get_error_status, is_api_call, note_action
from imagehub.wiring import get_clients, get_settings

# How long one request reads on in OneDrive: a page that shows what has come is better than a wait.
_FIRST_READ_SECONDS = 6.0
_READ_SECONDS = 2.0
# A form's field may be a little longer; a change of some 15,000 files cannot be undone.
_MAX_UNDO_CHARS = 400_000


Key = Annotated[int, Field(ge=1, lt=1 << 62)]
Position = Annotated[int, Field(ge=0, lt=1 << 31)]


class LayoutFields(BaseModel):
    """A part of a board, as a change answers it and an undo brings it back."""

    proposals: Mapping[Key, tuple[Position, str, Key | None]]
    files: Mapping[Key, tuple[Key | None, Position, bool]]


# --- Choosing -------------------------------------------------------------------------------------


@blueprint.get("/admin/import")
def show_imports() -> ResponseReturnValue:
    """Plans that wait, and imports from new to old."""
    before = read_page_number()
    session = db.session()
    imports = import_history.list_imports(session, before)
    plans = [] if before else import_plan.list_open_plans(session)
    sources = import_history.find_sources(
        session, ImportPlanFile.plan_id, [plan.id for plan in plans]
    )
    return render_template(
        "admin/imports.html",
        plans=[
            (plan, import_plan.describe_plan(session, plan), sources.get(plan.id)) for plan in plans
        ],
        imports=imports,
        next_before=imports[-1].job.id if len(imports) == 20 else None,
        before=before,
    )


@blueprint.post("/admin/import/plan")
def plan_import() -> ResponseReturnValue:
    """Take what was chosen in OneDrive and begin a plan.

    ``item``: ids of files and folders; without any, ``folder``: ids of folders. ``group``: the
    group that all shall be added to, if it is known already.
    """
    items = request.form.getlist("item")
    folders = [] if items else [one for one in request.form.getlist("folder") if one]
    target = _read_group_number(request.form.get("group", ""))
    session = db.session()
    account = connection.get_active_account(session)
    plan = import_plan.create_plan(session, account.id, current_user.id, folders, items, target)
    plan_id = plan.id
    session.commit()
    try:
        _read_on(plan, _FIRST_READ_SECONDS)
    except (ConnectionLostError, ServiceError) as error:
        say(f"{error} The plan is kept.", is_fault=True)
    url = url_for(".show_import_plan", number=plan_id)
    return jsonify({"plan": plan_id, "url": url}) if is_api_call() else redirect(url, 303)


@blueprint.post("/admin/import/plans/<biggest:number>/read")
def read_import_plan(number: int) -> ResponseReturnValue:
    """Read on in OneDrive for a moment."""
    plan = import_plan.get_plan(db.session(), number)
    fault = ""
    try:
        _read_on(plan, _READ_SECONDS)
    except (ConnectionLostError, ServiceError) as error:
        db.session.rollback()
        fault = str(error)
    plan = import_plan.get_plan(db.session(), number)
    if is_api_call():
        summary = import_plan.describe_plan(db.session(), plan)
        words = f"{describe_count(summary.file_count, 'file')} found so far"
        answer = {"is_read": plan.state != "reading", "words": words, "fault": fault}
        return jsonify(answer)
    if fault:
        say(fault, is_fault=True)
    return redirect(url_for(".show_import_plan", number=number), 303)


def _read_on(plan: ImportPlan, seconds: float) -> None:
    """Read and write down in turn; no transaction is open while OneDrive is asked."""
    plan_id, limit = plan.id, get_settings().max_original_bytes
    drive = _open_drive(plan)
    entry = import_reading.read_waiting(plan)
    db.session.rollback()

    def note(done: Mapping[str, str], step: import_reading.Step) -> dict[str, str] | None:
        session = db.session()
        current = import_plan.get_plan(session, plan_id)
        import_reading.note_step(session, current, done, step, limit)
        following = import_reading.read_waiting(current) if current.state == "reading" else None
        session.commit()
        return following

    import_reading.read_for_a_while(drive, note, entry, seconds)


def _open_drive(plan: ImportPlan) -> Drive:
    """The drive that the plan is for.

    :raise ConflictError: another account is connected by now.
    """
    account = connection.get_active_account(db.session())
    if account.id != plan.drive_account_id:
        raise ConflictError("These files lie in a OneDrive that is no longer connected.")
    return connection.open_active_drive(db.session(), get_clients())


# --- The plan and its board -----------------------------------------------------------------------


@blueprint.get("/admin/import/plans/<biggest:number>")
def show_import_plan(number: int) -> ResponseReturnValue:
    """What the import would come to, and the board of proposed groups."""
    plan = import_plan.get_plan(db.session(), number)
    if plan.state == "started" and plan.job_id:
        return redirect(url_for(".show_import", number=plan.job_id))
    return render_template("admin/import_plan.html", **_describe_plan(plan))


@blueprint.post("/admin/import/plans/<biggest:number>/groups")
def propose_import_groups(number: int) -> ResponseReturnValue:
    """Lay the board out anew, in another way."""
    plan = import_plan.get_plan(db.session(), number)
    import_plan.check_open(plan)
    target = _read_group_number(request.form.get("group", ""))
    return _change(
        plan,
        lambda: import_board.propose(db.session(), plan, request.form.get("way", ""), target),
    )


@blueprint.post("/admin/import/plans/<biggest:number>/board")
def change_import_board(number: int) -> ResponseReturnValue:
    """Do one thing to the board; ``act`` says which, and titles that were typed are kept too."""
    plan = import_plan.get_plan(db.session(), number)
    import_plan.check_open(plan)
    return _change(plan, lambda: _act(plan))


def _act(plan: ImportPlan) -> None:
    session = db.session()
    act, _, key = request.form.get("act", "").partition(":")
    files = read_numbers(request.form.getlist("file"), "file")
    if act != "undo":
        _keep_titles(plan)
    if act == "move":
        to = request.form.get("to", "")
        before = request.form.get("before", "")
        import_board.move_files(
            session,
            plan,
            files,
            None if to == "new" else _read_number(to),
            read_number(before, "file") if before else None,
        )
    elif act == "split":
        import_board.move_files(session, plan, files, None)
    elif act in ("take", "leave"):
        import_board.choose_files(session, plan, files, act == "take")
    elif act in ("take-all", "leave-all"):
        import_board.choose_verdict(session, plan, key, act == "take-all")
    elif act == "join":
        import_board.join_with_previous(session, plan, _read_number(key))
    elif act == "join-chosen":
        chosen = [_read_number(one) for one in request.form.getlist("proposal")]
        import_board.join_proposals(session, plan, chosen)
    elif act == "split-all":
        import_board.split_proposal(session, plan, _read_number(key))
    elif act == "undo":
        version = read_number(request.form.get("version", ""), "version")
        import_board.restore_layout(session, plan, version, _read_layout())
    elif act != "rename":
        raise InvalidInputError("The board does not know how to do that.", {"act": "unknown"})


def _read_layout() -> import_board.Layout:
    """:raise InvalidInputError: it is not what a change answered as ``undo``."""
    try:
        fields = LayoutFields.model_validate_json(request.form.get("undo", ""))
    except ValidationError as error:
        raise InvalidInputError("This cannot be undone.", {"undo": "unknown"}) from error
    return import_board.Layout(fields.proposals, fields.files)


def _keep_titles(plan: ImportPlan) -> None:
    for name, title in request.form.items():
        field, _, key = name.partition("-")
        if field == "title" and (number := find_number(key)) is not None:
            import_board.rename_proposal(db.session(), plan, number, title)


def _keep_titles_alone(number: int) -> None:
    """Save what was typed, where all else that the form asked for was refused."""
    session = db.session()
    try:
        plan = import_plan.get_plan(session, number)
        import_plan.check_open(plan)
        _keep_titles(plan)
        session.commit()
    except ImageHubError:
        session.rollback()


def _change(plan: ImportPlan, change: Any) -> ResponseReturnValue:
    """Change the board and show it; a refusal is told where it was asked."""
    number = plan.id
    after = find_number(request.form.get("after", "")) or 0
    before = import_board.read_layout(db.session(), plan) if is_api_call() else None
    try:
        change()
    except ImageHubError as error:
        db.session.rollback()
        if is_api_call():
            return jsonify({"detail": str(error)}), get_error_status(error)
        _keep_titles_alone(number)
        say(str(error), is_fault=True)
        return redirect(url_for(".show_import_plan", number=number, after=after or None), 303)
    undo = before and import_board.compare_layouts(
        before, import_board.read_layout(db.session(), plan)
    )
    db.session.commit()
    if undo is not None:
        html = render_template("admin/_import_board.html", **_describe_plan(plan, after))
        words = LayoutFields(proposals=undo.proposals, files=undo.files).model_dump_json()
        answer = {"html": html, "version": plan.version}
        return jsonify(answer | {"undo": words if len(words) <= _MAX_UNDO_CHARS else None})
    return redirect(url_for(".show_import_plan", number=number, after=after or None), 303)


def _describe_plan(plan: ImportPlan, after: int | None = None) -> dict[str, Any]:
    session = db.session()
    if after is None:
        after = read_page_number("after") or 0
    bins = import_board.list_bins(session, plan, after)
    return {
        "plan": plan,
        "summary": import_plan.describe_plan(session, plan),
        "bins": bins,
        "after": after,
        "next_after": (
            bins[-1].proposal.position if len(bins) == import_board.BINS_PER_PAGE else None
        ),
        "unusable": import_plan.list_unusable(session, plan),
        "verdicts": import_plan.VERDICTS,
        "ways": import_ways.WAYS,
        "groups": library_list.list_choices(session),
        "has_thumbnails": is_view("admin.show_drive_thumbnail"),
        "describe_duration": describe_duration,
    }


def _read_number(text: str) -> int:
    """:raise InvalidInputError: it is no number."""
    number = find_number(text)
    if number is None:
        raise InvalidInputError("Choose one of the groups on the board.", {"to": "unknown"})
    return number


def _read_group_number(text: str) -> int | None:
    """The number that a group's choice begins with: ``17 · Harbour``."""
    match = re.match(r"\s*#?([0-9]+)", text)
    return read_number(match[1]) if match else None


# --- Starting, looking on -------------------------------------------------------------------------


@blueprint.post("/admin/import/plans/<biggest:number>/start")
def start_import(number: int) -> ResponseReturnValue:
    """Make the groups and begin the import."""
    session = db.session()
    plan = import_plan.get_plan(session, number)
    if plan.state == "started" and plan.job_id:
        return _answer_started(plan.job_id)
    try:
        _keep_titles(plan)
        is_published = request.form.get("state", "published") != "draft"
        job = import_board.start_import(session, plan, current_user.id, is_published)
    except ImageHubError as error:
        session.rollback()
        if is_api_call():
            raise
        _keep_titles_alone(number)
        say(str(error), is_fault=True)
        return redirect(url_for(".show_import_plan", number=number), 303)
    job_id, count = job.id, job.item_count
    note_action("create", "import", job_id, f"Began an import of {describe_count(count, 'file')}.")
    session.commit()
    enqueue_job(get_settings(), job_id, count)
    return _answer_started(job_id)


def _answer_started(job_id: int) -> ResponseReturnValue:
    url = url_for(".show_import", number=job_id)
    return jsonify({"job": job_id, "url": url}) if is_api_call() else redirect(url, 303)


@blueprint.post("/admin/import/plans/<biggest:number>/delete")
def delete_import_plan(number: int) -> ResponseReturnValue:
    """Forget a plan."""
    session = db.session()
    plan = import_plan.get_plan(session, number)
    if plan.state != "started":
        import_plan.delete_plan(session, plan)
        session.commit()
        say("The plan is gone. Nothing in OneDrive or in the hub was changed.")
    return redirect(url_for(".show_imports"), 303)


@blueprint.get("/admin/import/<biggest:number>")
def show_import(number: int) -> ResponseReturnValue:
    """How far an import is."""
    return render_template("admin/import.html", **_describe_import(number))


@blueprint.get("/admin/import/<biggest:number>/progress")
def show_import_progress(number: int) -> ResponseReturnValue:
    """The same as JSON: figures, and the part of the page that shows them."""
    values = _describe_import(number)
    report = values["report"]
    return jsonify(
        {
            "state": report.state,
            "item_count": report.item_count,
            "done_count": report.done_count,
            "skipped_count": report.skipped_count,
            "failed_count": report.failed_count,
            "seconds_left": values["seconds_left"],
            "html": render_template("admin/_import_progress.html", **values),
        }
    )


@blueprint.post("/admin/import/<biggest:number>/retry")
def retry_import(number: int) -> ResponseReturnValue:
    """Try the failed files again; with ``item`` that one alone, or all that were ``left_out``."""
    session = db.session()
    item_id = _read_item()
    if item_id is None and request.form.get("which") != "left_out":
        count = importing.retry_items(session, number)
    else:
        count = left_out.retry_left_out(session, number, item_id)
    if count:
        words = f"Tried {describe_count(count, 'failed file')} of an import again."
        note_action("change", "import", number, words)
    session.commit()
    if count:
        enqueue_job(get_settings(), number, count)
    if is_api_call():
        return jsonify({"count": count})
    return redirect(url_for(".show_import", number=number), 303)


@blueprint.post("/admin/import/<biggest:number>/leave-out")
def leave_out_failed(number: int) -> ResponseReturnValue:
    """Let the failed files be, or with ``item`` that one alone; ``from`` names the page."""
    session = db.session()
    left = left_out.leave_out(session, number, current_user.id, _read_item())
    if left.item_count:
        words = f"Let {describe_count(left.item_count, 'failed file')} of an import be"
        if left.group_count:
            words += f", and put {describe_count(left.group_count, 'empty group')} in the trash"
        note_action("leave_out", "import", number, f"{words}.")
    session.commit()
    if is_api_call():
        return jsonify({"count": left.item_count})
    if not left.item_count:
        say("There was nothing left to let be.")
    else:
        words = f"{describe_count(left.item_count, 'file')} left out."
        if left.group_count:
            words += f" {describe_count(left.group_count, 'empty group')} went to the trash."
        say(words)
    if request.form.get("from") == "home":
        return redirect(url_for("admin.show_home"), 303)
    return redirect(url_for(".show_import", number=number), 303)


@blueprint.post("/admin/import/<biggest:number>/publish")
def publish_import(number: int) -> ResponseReturnValue:
    """Publish the groups that the import made as drafts, as far as pictures came into them."""
    session = db.session()
    importing.get_job(session, number)
    try:
        drafts = import_history.list_own_drafts(session, number, library_edit.MAX_BULK)
        count = library_edit.bulk_edit(session, drafts, {"state": "published"})
    except ImageHubError as error:
        session.rollback()
        if is_api_call():
            raise
        say(str(error), is_fault=True)
        return redirect(url_for(".show_import", number=number), 303)
    groups = describe_count(count, "group")
    if count:
        note_action("change", "import", number, f"Published {groups} of an import.")
    session.commit()
    if is_api_call():
        return jsonify({"count": count})
    verb = "is" if count == 1 else "are"
    say(f"{groups} {verb} published." if count else "There was nothing left to publish.")
    return redirect(url_for(".show_import", number=number), 303)


def _read_item() -> int | None:
    """:raise NotFoundError: there can be no such item."""
    text = request.form.get("item", "")
    return read_number(text, "file") if text else None


def _describe_import(number: int) -> dict[str, Any]:
    session = db.session()
    report = importing.describe_job(session, number)
    return {
        "report": report,
        "groups": import_history.list_job_groups(session, number),
        # Before the end a group would be shown with half of its pictures.
        "drafts": (
            import_history.list_own_drafts(session, number, library_edit.MAX_BULK)
            if report.is_finished
            else []
        ),
        "seconds_left": None if report.is_finished else import_history.expect_end(session, number),
        "describe_duration": describe_duration,
        "group_page": "admin.show_library_group"
        if "admin.show_library_group" in current_app.view_functions
        else "",
    }


def describe_duration(seconds: float) -> str:
    """``a few seconds``, ``about 40 seconds``, ``about 3 minutes``, ``about 2 hours``."""
    if seconds < 8:
        return "a few seconds"
    if seconds < 100:
        return f"about {max(10, round(seconds / 10) * 10)} seconds"
    if seconds < 5400:
        return f"about {max(2, round(seconds / 60))} minutes"
    return f"about {max(2, round(seconds / 3600))} hours"
