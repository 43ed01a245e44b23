"""Print files: catalogues, price lists and wall labels as PDF."""

from contextlib import suppress

from flask import Response, jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import act, blueprint
from imagehub.admin.words import return_refused, say
from imagehub.database import db
from imagehub.domain.library import listing
from imagehub.domain.library.series import get_series, name_series
from imagehub.domain.prints import files, letters
from imagehub.domain.sharing import downloads, links
from imagehub.errors import ImageHubError, InvalidInputError, ServiceError
from imagehub.models import PrintFile
from imagehub.translator import LANGUAGES
from imagehub.web import commit_action
from imagehub.web.errors import get_error_headers, get_error_status
from imagehub.web.forms import Checkbox, Form, FormText, Ids, OptionalId, read_form, read_query
from imagehub.web.headers import set_file_name
from imagehub.web.i18n import get_language, ngettext, translate
from imagehub.wiring import get_clients, get_settings


class PrintFields(Form):
    """``series`` or ``share``: whose works are printed, else those of ``group``."""

    group: Ids("group") = []  # type: ignore[valid-type]  # noqa: RUF012 - pydantic copies it
    series: OptionalId("series") = None  # type: ignore[valid-type]
    share: OptionalId("share link") = None  # type: ignore[valid-type]
    kind: FormText = "catalogue"
    title: FormText = ""
    language: FormText = ""
    per_page: FormText = "1"
    prices: Checkbox = False
    share_prices: Checkbox = False
    texts: Checkbox = False


@blueprint.get("/admin/print")
def show_prints() -> ResponseReturnValue:
    """List the print files, unfinished ones with their progress."""
    rows = files.list_prints(db.session())
    return render_template(
        "admin/prints.html",
        rows=rows,
        kinds=files.KINDS,
        states=files.STATES,
        problems={row.id: files.list_problems(row) for row in rows},
        open_states=files.OPEN_STATES,
        kept_days=files.KEPT.days,
    )


@blueprint.get("/admin/print/running")
def list_running_prints() -> ResponseReturnValue:
    """Return the progress of unfinished files, for the script of the list."""
    rows = files.list_prints(db.session())
    found = [
        {"id": row.id, "done": row.done_count, "words": describe_progress(row)}
        for row in rows
        if row.state in files.OPEN_STATES
    ]
    return jsonify(prints=found)


@blueprint.app_template_global("describe_print_progress")
def describe_progress(row: PrintFile) -> str:
    """Describe how far a print file is."""
    if row.state == files.WAITING:
        return str(_("Waiting"))
    if row.done_count >= row.work_count:
        return str(_("Laying out the pages…"))
    return ngettext(
        "%(done)s of %(num)s work",
        "%(done)s of %(num)s works",
        row.work_count,
        done=row.done_count,
    )


@blueprint.get("/admin/print/new")
def new_print() -> ResponseReturnValue:
    """Show the form for a print file of a series, a share link or the selected groups."""
    query = read_query(PrintFields)
    language = query.language or get_language()
    defaults = {"language": language, "share_prices": query.share is not None}
    return _render_form(query.model_copy(update={**defaults, "title": _make_title(query)}))


def _make_title(fields: PrintFields) -> str:
    session = db.session()
    if fields.series is not None:
        return translate(name_series(get_series(session, fields.series)))
    if fields.share is not None:
        share = links.get_share(session, fields.share)
        return translate(links.name_shares(session, [share])[share.id])
    return ""


def _list_numbers(fields: PrintFields) -> list[int]:
    session = db.session()
    if fields.series is not None:
        return files.list_series_groups(session, get_series(session, fields.series).id)
    if fields.share is not None:
        return files.list_share_groups(session, links.get_share(session, fields.share))
    return list(fields.group)


def _render_form(fields: PrintFields, error: ImageHubError | None = None) -> str:
    numbers = _list_numbers(fields)
    rows = listing.load_rows(db.session(), numbers[:8])
    return render_template(
        "admin/print_new.html",
        fields=fields,
        rows=rows,
        numbers=numbers,
        unprintable=_check_letters(fields, numbers),
        kinds=files.KINDS,
        languages=LANGUAGES,
        most=files.MAX_WORKS,
        faults=error.fields if isinstance(error, InvalidInputError) else {},
        fault=error.sentence if error else "",
    )


def _check_letters(fields: PrintFields, numbers: list[int]) -> list[letters.Unprintable]:
    language = fields.language if fields.language in LANGUAGES else get_language()
    # The form is useful without an answer, too.
    with suppress(ServiceError):
        return letters.check_before(
            db.session(), get_settings(), fields.title, numbers, language, fields.series
        )
    return []


def _show_form_again(error: ImageHubError) -> ResponseReturnValue:
    page = _render_form(read_form(PrintFields), error)
    return page, get_error_status(error), get_error_headers(error)


@act("/admin/print", _show_form_again, InvalidInputError)
def create_print() -> ResponseReturnValue:
    """Create a print file, which a worker makes."""
    fields = read_form(PrintFields)
    options = files.PrintOptions(
        fields.language,
        2 if fields.per_page == "2" else 1,
        fields.prices,
        fields.share_prices,
        fields.texts,
    )
    row = files.request_print(
        db.session(),
        current_user.id,
        fields.kind,
        fields.title,
        _list_numbers(fields),
        options,
        fields.series,
    )
    commit_action("request_print", row.id, name=row.title)
    return redirect(url_for(".show_prints"), 303)


def _refuse(error: ImageHubError, number: int) -> ResponseReturnValue:
    return return_refused(error, url_for(".show_prints"))


@act("/admin/print/<db_id:number>/cancel", _refuse)
def cancel_print(number: int) -> ResponseReturnValue:
    """Cancel the making of a print file."""
    row = files.cancel_print(db.session(), number)
    commit_action("cancel_print", number, name=row.title)
    say(_("“%(name)s” was cancelled.", name=row.title))
    return redirect(url_for(".show_prints"), 303)


@act("/admin/print/<db_id:number>/retry", _refuse)
def retry_print(number: int) -> ResponseReturnValue:
    """Make a file again that failed or was cancelled."""
    row = files.retry_print(db.session(), number)
    commit_action("request_print", number, name=row.title)
    return redirect(url_for(".show_prints"), 303)


@act("/admin/print/<db_id:number>/delete", _refuse)
def delete_print(number: int) -> ResponseReturnValue:
    """Delete a print file."""
    title = files.delete_print(db.session(), number)
    commit_action("delete_print", number, name=title)
    say(_("“%(name)s” was deleted.", name=title))
    return redirect(url_for(".show_prints"), 303)


@blueprint.get("/admin/print/<db_id:number>/file")
def download_print(number: int) -> ResponseReturnValue:
    """Send a print file from object storage, part by part."""
    row = files.get_print(db.session(), number)
    name = downloads.tidy_file_name(f"{row.title} – {translate(files.KINDS[row.kind])}.pdf")
    content = files.iter_content(get_clients(), row)
    size = row.size_bytes
    db.session.rollback()
    response = Response(content, mimetype="application/pdf", headers={"Content-Length": str(size)})
    set_file_name(response, name)
    return response
