"""Importing with a browser: choose, look at the plan, arrange the board, start, look on."""

from collections.abc import Callable, Mapping
from contextlib import suppress
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
from imagehub.domain.imports import board, grouping, history, ignored, jobs, reading, reports
from imagehub.domain.imports import plans as imports_plans
from imagehub.domain.library import bulk, listing
from imagehub.domain.library.bulk import BulkEdit
from imagehub.domain.onedrive import accounts
from imagehub.domain.site import overview
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotFoundError,
    ServiceError,
)
from imagehub.models import ImportPlan, ImportPlanFile
from imagehub.queue import enqueue_job
from imagehub.web import note_action
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status
from imagehub.wiring import get_clients, get_settings

# How long one request reads on in OneDrive: a page that shows what has come is better than a wait.
_FIRST_READ_SECONDS = 6.0
_READ_SECONDS = 2.0
_READ_SECONDS_A_PRESS = 15.0
# A form's field may be a little longer; a change of some 15,000 files cannot be undone.
_MAX_UNDO_CHARS = 400_000


# Which part of a board is shown; see show_import_plan.
_VIEW = ("after", "whole", "from")
_View = dict[str, int]

Key = Annotated[int, Field(ge=1, lt=1 << 62)]
Position = Annotated[int, Field(ge=0, lt=1 << 31)]


class LayoutFields(BaseModel):
    """A part of a board, as a change answers it and an undo brings it back."""

    proposals: Mapping[Key, tuple[Position, str, Key | None]]
    files: Mapping[Key, tuple[Key | None, Position, bool]]


# --- Choosing -------------------------------------------------------------------------------------


@blueprint.get("/admin/import")
def show_imports() -> ResponseReturnValue:
    """Plans that wait, and imports, both from new to old."""
    before, plan_before = read_page_number(), read_page_number("plan_before")
    session = db.session()
    imports = history.list_imports(session, before)
    plans = [] if before else imports_plans.list_open_plans(session, plan_before)
    sources = history.find_sources(session, ImportPlanFile.plan_id, [plan.id for plan in plans])
    return render_template(
        "admin/imports.html",
        plans=[
            (plan, imports_plans.describe_plan(session, plan), sources.get(plan.id))
            for plan in plans
        ],
        next_plan_before=plans[-1].id if len(plans) == imports_plans.PLANS_PER_PAGE else None,
        plan_before=plan_before,
        imports=imports,
        next_before=imports[-1].job.id if len(imports) == 20 else None,
        before=before,
    )


@blueprint.post("/admin/import/plan")
def plan_import() -> ResponseReturnValue:
    """Take what was chosen in OneDrive and begin a plan.

    ``item``: ids of files and folders; without any, or with ``all``, ``folder``: ids of folders.
    ``group``: the group that all shall be added to, if it is known already.
    """
    items = [] if "all" in request.form else request.form.getlist("item")
    folders = [] if items else [one for one in request.form.getlist("folder") if one]
    session = db.session()
    account = accounts.get_active_account(session)
    try:
        target = listing.find_group(session, request.form.get("group", ""))
        plan = imports_plans.create_plan(
            session, account.id, current_user.id, folders, items, target
        )
    except InvalidInputError as error:
        if is_api_call():
            raise
        session.rollback()
        say(str(error), is_fault=True)
        return redirect(
            url_for("admin.show_drive", item_id=request.form.get("folder") or None), 303
        )
    plan_id = plan.id
    session.commit()
    try:
        _read_on(plan, _FIRST_READ_SECONDS)
    except ImageHubError as error:
        session.rollback()
        say(f"{error} The plan is kept.", is_fault=True)
    url = url_for(".show_import_plan", number=plan_id)
    return jsonify({"plan": plan_id, "url": url}) if is_api_call() else redirect(url, 303)


@blueprint.post("/admin/import/plans/<biggest:number>/read")
def read_import_plan(number: int) -> ResponseReturnValue:
    """Read on in OneDrive for a moment; without a script longer, as each time is a press."""
    plan = imports_plans.get_plan(db.session(), number)
    fault = ""
    try:
        _read_on(plan, _READ_SECONDS if is_api_call() else _READ_SECONDS_A_PRESS)
    except (ConnectionLostError, ServiceError) as error:
        db.session.rollback()
        fault = str(error)
    except ImageHubError as error:
        # It would be the same the next time.
        if is_api_call() or isinstance(error, NotFoundError):
            raise
        db.session.rollback()
        fault = str(error)
    plan = imports_plans.get_plan(db.session(), number)
    if is_api_call():
        summary = imports_plans.describe_plan(db.session(), plan)
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
    entry = reading.read_waiting(plan)
    db.session.rollback()

    def note(done: Mapping[str, str], step: reading.Step) -> dict[str, str] | None:
        session = db.session()
        current = imports_plans.get_plan(session, plan_id)
        reading.note_step(session, current, done, step, limit)
        following = reading.read_waiting(current) if current.state == "reading" else None
        session.commit()
        return following

    reading.read_for_a_while(drive, note, entry, seconds)


def _open_drive(plan: ImportPlan) -> Drive:
    """The drive that the plan is for; raises as :func:`_check_account`."""
    _check_account(plan)
    return accounts.open_active_drive(db.session(), get_clients())


def _check_account(plan: ImportPlan) -> None:
    """:raise ConflictError: another account is connected by now."""
    if accounts.get_active_account(db.session()).id != plan.drive_account_id:
        raise ConflictError("These files lie in a OneDrive that is no longer connected.")


# --- The plan and its board -----------------------------------------------------------------------


@blueprint.get("/admin/import/plans/<biggest:number>")
def show_import_plan(number: int) -> ResponseReturnValue:
    """What the import would come to, and the board of proposed groups.

    ``after``: the place of the group that the page before ended with. ``whole``: a group that is
    shown with all its pictures, ``from`` this place on.
    """
    plan = imports_plans.get_plan(db.session(), number)
    if plan.state == "started" and plan.job_id:
        return redirect(url_for(".show_import", number=plan.job_id))
    view = {name: read_page_number(name) or 0 for name in _VIEW}
    account = accounts.find_active_account(db.session())
    return render_template(
        "admin/import_plan.html",
        is_elsewhere=account is not None and account.id != plan.drive_account_id,
        **_describe_plan(plan, view),
    )


@blueprint.post("/admin/import/plans/<biggest:number>/groups")
def propose_import_groups(number: int) -> ResponseReturnValue:
    """Lay the board out anew, in another way."""

    def propose(plan: ImportPlan, _: _View) -> None:
        session = db.session()
        target = listing.find_group(session, request.form.get("group", ""))
        _keep_state(plan)
        board.propose(session, plan, request.form.get("way", ""), target)

    return _change(number, propose, {})


@blueprint.post("/admin/import/plans/<biggest:number>/board")
def change_import_board(number: int) -> ResponseReturnValue:
    """Do one thing to the board; ``act`` says which, and titles that were typed are kept too."""
    return _change(number, _act, _read_view())


def _read_view() -> _View:
    return {name: find_number(request.form.get(name, "")) or 0 for name in _VIEW}


def _act(plan: ImportPlan, view: _View) -> None:
    session = db.session()
    act, _, key = request.form.get("act", "").partition(":")
    files = read_numbers(request.form.getlist("file"), "file")
    if act != "undo":
        _keep_words(plan)
    if act == "move":
        board.move_files(session, plan, files, _read_goal(plan), _read_before())
    elif act == "split":
        board.move_files(session, plan, files, None)
    elif act in ("take", "leave"):
        board.choose_files(session, plan, files, act == "take")
    elif act in ("take-all", "leave-all"):
        board.choose_verdict(session, plan, key, act == "take-all")
    elif act in ("take-group", "leave-group"):
        board.choose_proposal(session, plan, _read_number(key), act == "take-group")
    elif act == "join":
        board.join_with_previous(session, plan, _read_number(key))
    elif act == "split-all":
        board.split_proposal(session, plan, _read_number(key))
    elif act == "undo":
        version = read_number(request.form.get("version", ""), "version")
        board.restore_layout(session, plan, version, _read_layout())
    elif act == "page":
        view |= {"after": find_number(key) or 0, "whole": 0, "from": 0}
    elif act == "whole":
        whole, _, first = key.partition(":")
        view |= {"whole": find_number(whole) or 0, "from": find_number(first) or 0}
    elif act != "rename":
        raise InvalidInputError("The board does not know how to do that.", {"act": "unknown"})


def _read_goal(plan: ImportPlan) -> int | None:
    """The group that pictures shall move to; None for a new one."""
    if title := request.form.get("to-title", "").strip():
        return board.get_proposal_by_title(db.session(), plan, title)
    to = request.form.get("to", "")
    return None if to == "new" else _read_number(to)


def _read_before() -> int | None:
    before = request.form.get("before", "")
    return read_number(before, "file") if before else None


def _read_layout() -> board.Layout:
    """:raise InvalidInputError: it is not what a change answered as ``undo``."""
    try:
        fields = LayoutFields.model_validate_json(request.form.get("undo", ""))
    except ValidationError as error:
        raise InvalidInputError("This cannot be undone.", {"undo": "unknown"}) from error
    return board.Layout(fields.proposals, fields.files)


def _keep_words(plan: ImportPlan) -> None:
    """Keep the titles that were typed, and whether new groups are shown at once.

    A form brings all titles along, with what they were when it was shown (``was-…``): the others
    may have been changed in another window since, and so may their groups be gone.
    """
    session = db.session()
    for name, title in request.form.items():
        field, _, key = name.partition("-")
        number = find_number(key) if field == "title" else None
        if number is None or title == request.form.get(f"was-{key}"):
            continue
        with suppress(NotFoundError):
            board.rename_proposal(session, plan, number, title)
    _keep_state(plan)


def _keep_state(plan: ImportPlan) -> None:
    state = request.form.get("state")
    if state and state != request.form.get("was_state"):
        imports_plans.set_published(db.session(), plan, state != "draft")


def _keep_words_alone(number: int) -> None:
    """Save what was typed, where all else that the form asked for was refused."""
    session = db.session()
    try:
        plan = imports_plans.get_plan(session, number)
        imports_plans.check_open(plan)
        _keep_words(plan)
        session.commit()
    except ImageHubError:
        session.rollback()


def _change(
    number: int, change: Callable[[ImportPlan, _View], None], view: _View
) -> ResponseReturnValue:
    """Change the board and show it; a refusal is told where it was asked.

    :param change: may change which part of the board is shown.
    """
    session = db.session()
    plan = imports_plans.get_plan(session, number)
    seen = plan.version
    try:
        imports_plans.check_open(plan)
        before = board.read_layout(session, plan) if is_api_call() else None
        change(plan, view)
    except ImageHubError as error:
        return _refuse(number, error, view)
    undo = before and board.compare_layouts(before, board.read_layout(session, plan))
    session.commit()
    if undo is not None:
        words = LayoutFields(proposals=undo.proposals, files=undo.files).model_dump_json()
        answer = _render_board(plan, view) | {"seen": seen}
        return jsonify(answer | {"undo": words if len(words) <= _MAX_UNDO_CHARS else None})
    return redirect(_find_place(number, view), 303)


def _refuse(number: int, error: ImageHubError, view: _View) -> ResponseReturnValue:
    """Say why something was not done; where the board is not what was thought, show what it is."""
    session = db.session()
    session.rollback()
    _keep_words_alone(number)
    if not is_api_call():
        say(str(error), is_fault=True)
        return redirect(_find_place(number, view), 303)
    answer: dict[str, Any] = {"detail": str(error)}
    if isinstance(error, NotFoundError | ConflictError):
        plan = imports_plans.get_plan(session, number)
        if plan.state == "started" and plan.job_id:
            answer["url"] = url_for(".show_import", number=plan.job_id)
        elif plan.state == "ready":
            answer |= _render_board(plan, view)
    return jsonify(answer), get_error_status(error)


def _render_board(plan: ImportPlan, view: _View) -> dict[str, Any]:
    html = render_template("admin/_import_board.html", **_describe_plan(plan, view))
    return {"html": html, "version": plan.version}


def _find_place(number: int, view: _View) -> str:
    """The address of what is shown of a board."""
    shown: dict[str, Any] = {name: value for name, value in view.items() if value}
    if whole := shown.get("whole"):
        shown["_anchor"] = f"bin-{whole}"
    return url_for(".show_import_plan", number=number, **shown)


def _describe_plan(plan: ImportPlan, view: _View) -> dict[str, Any]:
    session = db.session()
    after, whole, first = (view.get(name, 0) for name in _VIEW)
    bins = board.list_bins(session, plan, after, whole=whole, first=first)
    next_after = bins[-1].proposal.position if len(bins) == board.BINS_PER_PAGE else None
    return {
        "plan": plan,
        "summary": imports_plans.describe_plan(session, plan),
        "bins": bins,
        "view": view,
        "after": after,
        "next_after": next_after,
        "titles": board.list_titles(session, plan) if after or next_after else [],
        "shown_at_once": board.FILES_SHOWN,
        "shown_whole": board.FILES_SHOWN_WHOLE,
        "unusable": imports_plans.list_unusable(session, plan),
        "verdicts": imports_plans.VERDICTS,
        "ways": grouping.WAYS,
        "groups": listing.list_choices(session),
        "has_thumbnails": is_view("admin.show_drive_thumbnail"),
        "describe_duration": describe_duration,
    }


def _read_number(text: str) -> int:
    """:raise InvalidInputError: it is no number."""
    number = find_number(text)
    if number is None:
        raise InvalidInputError("Choose one of the groups on the board.", {"to": "unknown"})
    return number


# --- Starting, looking on -------------------------------------------------------------------------


@blueprint.post("/admin/import/plans/<biggest:number>/start")
def start_import(number: int) -> ResponseReturnValue:
    """Make the groups and begin the import."""
    session = db.session()
    plan = imports_plans.get_plan(session, number)
    if plan.state == "started" and plan.job_id:
        return _answer_started(plan.job_id)
    try:
        _check_account(plan)
        if "version" in request.form:
            version = read_number(request.form["version"], "version")
            imports_plans.check_version(session, plan, version)
        _keep_words(plan)
        job = board.start_import(session, plan, current_user.id, plan.is_published)
    except ImageHubError as error:
        return _refuse(number, error, _read_view())
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
    plan = imports_plans.get_plan(session, number)
    if plan.state != "started":
        imports_plans.delete_plan(session, plan)
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
        count = jobs.retry_items(session, number)
    else:
        count = ignored.retry_left_out(session, number, item_id)
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
    left = ignored.leave_out(session, number, current_user.id, _read_item())
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
    jobs.get_job(session, number)
    try:
        drafts = history.list_own_drafts(session, number, bulk.MAX_GROUPS)
        count = bulk.edit_groups(session, drafts, BulkEdit({"state": "published"}))
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
    report = reports.describe_job(session, number)
    groups, group_count = history.list_job_groups(session, number)
    return {
        "report": report,
        "is_standing_still": overview.is_standing_still(session, number),
        "groups": groups,
        "group_count": group_count,
        # Before the end a group would be shown with half of its pictures.
        "drafts": (
            history.list_own_drafts(session, number, bulk.MAX_GROUPS) if report.is_finished else []
        ),
        "seconds_left": None if report.is_finished else history.expect_end(session, number),
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
