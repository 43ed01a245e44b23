"""The page of an import plan: arrange its files into groups, and start the import."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Annotated, Any

from flask import jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from pydantic import BaseModel, Field, Json
from sqlalchemy.orm import Session

from imagehub.admin import act, blueprint
from imagehub.admin.found_words import get_hub
from imagehub.admin.words import return_refused
from imagehub.database import db
from imagehub.domain.imports import grouping, plan_words, plans, verdicts
from imagehub.domain.imports.board import changes, proposals, words
from imagehub.domain.library.choices import find_group, list_choices
from imagehub.domain.library.series import get_series, list_series_choices, name_series
from imagehub.domain.onedrive import accounts
from imagehub.domain.people import audit
from imagehub.errors import ConflictError, ImageHubError, InvalidInputError, NotFoundError
from imagehub.models import ImportPlan
from imagehub.web import commit_action, find_actor
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status, on_refusal
from imagehub.web.forms import (
    Form,
    FormText,
    Id,
    Ids,
    OptionalId,
    PageStart,
    find_number,
    read_form,
    read_prefixed,
    read_query,
)
from imagehub.web.i18n import translate

_PLAN = "/admin/import/plans/<db_id:number>"
# A change of some 15,000 files is too long to send back for an undo.
_MAX_UNDO_CHARS = 400_000

Change = Callable[..., None]
Key = Annotated[int, Field(ge=1, lt=1 << 62)]
Position = Annotated[int, Field(ge=0, lt=1 << 31)]


class PageQuery(Form):
    """Which part of a board is shown.

    ``after``: the position of the last group on the previous page. ``whole``: a group that is shown
    with all its files, from the place ``from`` on.
    """

    after: OptionalId("page") = None  # type: ignore[valid-type]
    whole: OptionalId("page") = None  # type: ignore[valid-type]
    first: OptionalId("page") = Field(default=None, alias="from")  # type: ignore[valid-type]


class ViewFields(Form):
    """The part of the board that was shown when the form was sent, see :class:`PageQuery`."""

    after: PageStart = 0
    whole: PageStart = 0
    first: PageStart = Field(default=0, alias="from")


class StateFields(Form):
    """Whether new groups are published, and what that was when the page was made."""

    state: FormText = ""
    was_state: FormText = ""


class SeriesFields(Form):
    """The series that the groups will join, and what it was when the page was made.

    ``series``: "" for none, a number, or ``new``, with the title of the new one.
    """

    series: FormText = ""
    was_series: FormText = ""
    series_title: FormText = ""
    was_series_title: FormText = ""


class FileFields(Form):
    """The selected files, and where to move them.

    ``to``: the id of a proposal, or ``new``; the title of one (``to-title``) comes first.
    """

    file: Ids("file") = Field(default_factory=list)  # type: ignore[valid-type]
    to: FormText = ""
    to_title: FormText = Field(default="", alias="to-title")
    before: OptionalId("file") = None  # type: ignore[valid-type]


class RegroupFields(Form):
    way: FormText = ""
    group: FormText = ""


class LayoutFields(BaseModel):
    """A part of a board, as the answer to a change contains it and an undo sends it back."""

    proposals: Mapping[Key, tuple[Position, str, Key | None, str | None]]
    files: Mapping[Key, tuple[Key | None, Position, bool]]


class UndoFields(Form):
    version: Id("version")  # type: ignore[valid-type]
    undo: Json[LayoutFields]


class StartFields(Form):
    """``version``: of the board that the person saw."""

    version: OptionalId("version") = None  # type: ignore[valid-type]


@blueprint.get(_PLAN)
def show_import_plan(number: int) -> ResponseReturnValue:
    """Show the plan in numbers, and the board of proposed groups."""
    query = read_query(PageQuery)
    session = db.session()
    plan = plans.get_plan(session, number)
    if plan.state == "started" and plan.job_id:
        return redirect(url_for(".show_import", number=plan.job_id))
    view = ViewFields.model_validate(query.model_dump(by_alias=True))
    account = accounts.find_active_account(session)
    return render_template(
        "admin/import_plan.html",
        is_elsewhere=account is not None and account.id != plan.drive_account_id,
        **_describe_board(plan, view),
    )


# --- Acts -----------------------------------------------------------------------------------------


def _refuse(error: ImageHubError, number: int, **_: object) -> ResponseReturnValue:
    """Say why a change was refused, and show the board as it is if it is not what was expected.

    Typed titles are saved all the same.
    """
    session = db.session()
    plan = plans.get_plan(session, number)
    with suppress(ImageHubError):
        plans.check_open(plan)
        _save_fields(session, plan)
        session.commit()
    view = read_form(ViewFields)
    if not is_api_call():
        return return_refused(error, _find_place(number, view))
    answer: dict[str, Any] = {"detail": translate(error.sentence)}
    if isinstance(error, NotFoundError | ConflictError):
        if plan.state == "started" and plan.job_id:
            answer["url"] = url_for(".show_import", number=plan.job_id)
        elif plan.state == "ready":
            answer |= _render_board(plan, view)
    return jsonify(answer), get_error_status(error)


def _act(
    rule: str, find_view: Callable[[], ViewFields] | None = None, *, saves_titles: bool = True
) -> Callable[[Change], Change]:
    """Make a function a view that changes the board and shows it.

    The function gets the session, the plan and the values of its address. A rule with ``{choice}``
    makes two addresses, to include and to exclude files.

    :param find_view: finds the part to show; by default the part that was shown.
    :param saves_titles: whether titles that the form contains are saved too.
    """

    def decorate(change: Change) -> Change:
        @on_refusal(_refuse)
        @wraps(change)
        def view(number: int, **values: Any) -> ResponseReturnValue:
            shown = find_view() if find_view else read_form(ViewFields)
            session = db.session()
            plan = plans.get_plan(session, number)
            seen = plan.version
            plans.check_open(plan)
            before = changes.read_layout(session, plan) if is_api_call() else None
            if saves_titles:
                _save_fields(session, plan)
            change(session, plan, **values)
            lost = before and changes.compare_layouts(before, changes.read_layout(session, plan))
            session.commit()
            if lost is None:
                return redirect(_find_place(number, shown), 303)
            text = LayoutFields(proposals=lost.proposals, files=lost.files).model_dump_json()
            answer = _render_board(plan, shown) | {"seen": seen}
            return jsonify(answer | {"undo": text if len(text) <= _MAX_UNDO_CHARS else None})

        if "{choice}" not in rule:
            blueprint.post(f"{_PLAN}/{rule}")(view)
        else:
            for choice, is_included in (("include", True), ("exclude", False)):
                url = f"{_PLAN}/{rule}".format(choice=choice)
                blueprint.post(url, defaults={"is_included": is_included})(view)
        return change

    return decorate


@_act("groups", ViewFields, saves_titles=False)
def propose_import_groups(session: Session, plan: ImportPlan) -> None:
    """Make the groups again, in another way."""
    fields = read_form(RegroupFields)
    _save_state(session, plan)
    _save_series(session, plan)
    proposals.propose(session, plan, fields.way, find_group(session, fields.group))


@_act("board/rename")
def save_import_titles(_session: Session, _plan: ImportPlan) -> None:
    """Save the titles of groups, and whether new groups are published."""


@_act("board/move")
def move_import_files(session: Session, plan: ImportPlan) -> None:
    """Move files to another group or inside their group."""
    fields = read_form(FileFields)
    to = _find_goal(session, plan, fields)
    changes.move_files(session, plan, fields.file, to, fields.before)


@_act("board/split")
def split_import_files(session: Session, plan: ImportPlan) -> None:
    """Move files to a new group."""
    changes.move_files(session, plan, read_form(FileFields).file, None)


@_act("board/{choice}")
def include_import_files(session: Session, plan: ImportPlan, is_included: bool) -> None:
    """Include files in the import, or exclude them."""
    changes.include_files(session, plan, read_form(FileFields).file, is_included)


@_act("board/verdicts/<verdict>/{choice}")
def include_import_verdict(
    session: Session, plan: ImportPlan, verdict: str, is_included: bool
) -> None:
    """Include all files of a verdict, or exclude them."""
    changes.include_verdict(session, plan, verdict, is_included)


@_act("board/groups/<db_id:group>/{choice}")
def include_import_group(session: Session, plan: ImportPlan, group: int, is_included: bool) -> None:
    """Include the files of a group, or exclude them."""
    changes.include_proposal(session, plan, group, is_included)


@_act("board/groups/<db_id:group>/join")
def join_import_group(session: Session, plan: ImportPlan, group: int) -> None:
    """Join a group with the one before it."""
    changes.join_with_previous(session, plan, group)


@_act("board/groups/<db_id:group>/split")
def split_import_group(session: Session, plan: ImportPlan, group: int) -> None:
    """Split a group into single images."""
    changes.split_proposal(session, plan, group)


@_act("board/words/accept")
def accept_plan_words(session: Session, plan: ImportPlan) -> None:
    """Accept all that the files of the plan say."""
    words.decide_all(session, get_hub(), plan, is_accepted=True)


@_act("board/words/discard")
def discard_plan_words(session: Session, plan: ImportPlan) -> None:
    """Discard all that the files of the plan say."""
    words.decide_all(session, get_hub(), plan, is_accepted=False)


@_act("board/groups/<db_id:group>/words/<name>/accept")
def accept_group_words(session: Session, plan: ImportPlan, group: int, name: str) -> None:
    """Accept what the files of a group say; ``name`` is a field, or ``all``."""
    names = None if name == "all" else [name]
    words.decide(session, get_hub(), plan, group, names, is_accepted=True)


@_act("board/groups/<db_id:group>/words/<name>/discard")
def discard_group_words(session: Session, plan: ImportPlan, group: int, name: str) -> None:
    """Discard what the files of a group say; ``name`` is a field, or ``all``."""
    names = None if name == "all" else [name]
    words.decide(session, get_hub(), plan, group, names, is_accepted=False)


@_act("board/undo", saves_titles=False)
def undo_import_change(session: Session, plan: ImportPlan) -> None:
    """Undo a change whose answer contained the layout before it."""
    fields = read_form(UndoFields)
    layout = changes.Layout(fields.undo.proposals, fields.undo.files)
    changes.restore_layout(session, plan, fields.version, layout)


@_act("board/show", lambda: read_query(ViewFields))
def show_import_part(_session: Session, _plan: ImportPlan) -> None:
    """Show another part of the board, named in the query; saves titles, also without a script."""


@act(f"{_PLAN}/start", _refuse)
def start_import(number: int) -> ResponseReturnValue:
    """Make the groups and start the import."""
    fields = read_form(StartFields)
    session = db.session()
    plan = plans.get_plan(session, number)
    if plan.state == "started" and plan.job_id:
        return _answer_started(plan.job_id)
    if fields.version is not None:
        plans.check_version(session, plan, fields.version)
    _save_fields(session, plan)
    if read_form(SeriesFields).series == "new" and not plan.series_title:
        raise InvalidInputError("Enter a title for the new series.", {"series_title": "is empty"})
    group_count = plans.describe_plan(session, plan).group_count
    job = plans.start_import(session, plan, current_user.id, plan.is_published)
    job_id = job.id
    if plan.series_id is not None:
        series = get_series(session, plan.series_id)
        action = "create_series" if plan.series_title else "add_to_series"
        audit.record(
            session,
            find_actor(),
            action,
            series.id,
            name=name_series(series),
            count=None if plan.series_title else group_count,
        )
    commit_action("start_import", job_id, count=job.item_count)
    return _answer_started(job_id)


def _answer_started(job_id: int) -> ResponseReturnValue:
    url = url_for(".show_import", number=job_id)
    return jsonify({"job": job_id, "url": url}) if is_api_call() else redirect(url, 303)


# --- Parts of acts --------------------------------------------------------------------------------


def _save_fields(session: Session, plan: ImportPlan) -> None:
    """Save the titles that were changed, and whether new groups are published.

    A form contains all titles, and what they were when it was shown (``was-…``): the others may
    have been changed in another window since, and their groups may be gone.
    """
    shown = read_prefixed("was-")
    for proposal_id, title in read_prefixed("title-").items():
        if title != shown.get(proposal_id):
            with suppress(NotFoundError):
                changes.rename_proposal(session, plan, proposal_id, title)
    _save_state(session, plan)
    _save_series(session, plan)


def _save_series(session: Session, plan: ImportPlan) -> None:
    fields = read_form(SeriesFields)
    shown = (fields.was_series, fields.was_series_title)
    if (fields.series, fields.series_title) == shown:
        return
    if fields.series == "new":
        plans.set_series(session, plan, None, fields.series_title)
    else:
        plans.set_series(session, plan, find_number(fields.series), "")


def _save_state(session: Session, plan: ImportPlan) -> None:
    fields = read_form(StateFields)
    if fields.state and fields.state != fields.was_state:
        plans.set_published(session, plan, fields.state != "draft")


def _find_goal(session: Session, plan: ImportPlan, fields: FileFields) -> int | None:
    """Find the proposal to move files to; None for a new one."""
    if title := fields.to_title.strip():
        return proposals.get_proposal_by_title(session, plan, title)
    if fields.to == "new":
        return None
    number = find_number(fields.to)
    if number is None:
        raise InvalidInputError("Select one of the groups in this plan.", {"to": "unknown"})
    return number


def _render_board(plan: ImportPlan, view: ViewFields) -> dict[str, Any]:
    html = render_template("admin/_import_board.html", **_describe_board(plan, view))
    return {"html": html, "version": plan.version}


def _find_place(number: int, view: ViewFields) -> str:
    anchor = f"bin-{view.whole}" if view.whole else None
    shown = {name: value for name, value in view.model_dump(by_alias=True).items() if value}
    return url_for(".show_import_plan", number=number, _anchor=anchor, **shown)


def _describe_board(plan: ImportPlan, view: ViewFields) -> dict[str, Any]:
    session = db.session()
    bins = proposals.list_bins(session, plan, view.after, whole=view.whole, first=view.first)
    next_after = bins[-1].proposal.position if len(bins) == proposals.BINS_PER_PAGE else None
    last_id = plan_words.find_last_id(session, plan)
    return {
        "plan": plan,
        "found": words.list_found(session, get_hub(), plan, [one.proposal for one in bins]),
        "found_read": words.count_read(session, plan, last_id),
        "summary": plans.describe_plan(session, plan),
        "bins": bins,
        "view": view,
        "next_after": next_after,
        "titles": proposals.list_titles(session, plan) if view.after or next_after else [],
        "shown_at_once": proposals.FILES_SHOWN,
        "shown_whole": proposals.FILES_SHOWN_WHOLE,
        "unusable": plans.list_unusable(session, plan),
        "verdicts": verdicts.VERDICTS,
        "ways": grouping.WAYS,
        "groups": list_choices(session),
        "series_choices": list_series_choices(session),
    }
