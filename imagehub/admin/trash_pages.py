"""The trash of the library."""

from typing import Annotated, Any

from flask import render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import BeforeValidator, Field

from imagehub.admin import act, blueprint
from imagehub.admin.library_list import Place, answer, name_group
from imagehub.admin.words import return_refused, say
from imagehub.database import db
from imagehub.domain.library import listing, series_trash, trash
from imagehub.errors import ImageHubError
from imagehub.web import commit_action
from imagehub.web.forms import Form, Id, read_form, read_number, read_query
from imagehub.web.i18n import ngettext
from imagehub.wiring import get_clients


@blueprint.get("/admin/library/trash")
def show_trash() -> ResponseReturnValue:
    """Show a page of the trash, newest entries first."""
    session, before = db.session(), read_query(Place).before
    entries, following = trash.list_trash(session, before)
    rows = listing.load_rows(session, [entry.group.id for entry in entries])
    return render_template(
        "admin/trash.html",
        entries=entries,
        rows={row.id: row for row in rows},
        series=[] if before else series_trash.list_trashed_series(session),
        get_end=series_trash.get_end,
        before=before,
        following=following,
        sign=get_clients().store.make_presigned_url,
    )


def _split_numbers(texts: list[str]) -> list[int]:
    parts = [part for text in texts for part in text.split(",") if part]
    return [read_number(part, "thing in the trash") for part in parts]


class _Entries(Form):
    """Numbers of entries: several fields, or one with commas."""

    number: Annotated[list[int], BeforeValidator(_split_numbers)] = Field([])


def _refuse(error: ImageHubError, **_view_args: Any) -> ResponseReturnValue:
    return return_refused(error, url_for("admin.show_trash"))


@act("/admin/library/trash/restore", _refuse)
def restore_from_trash() -> ResponseReturnValue:
    """Restore entries of the trash."""
    restored = trash.restore_all(db.session(), read_form(_Entries).number)
    first, *others = restored
    commit_action("restore_groups", first.id, name=name_group(first), count=len(restored))
    say(ngettext("%(num)s group was restored.", "%(num)s groups were restored.", len(restored)))
    if others:
        return answer(url_for("admin.show_library"))
    return answer(url_for("admin.show_library_group", number=first.id))


@act("/admin/library/trash/delete", _refuse)
def delete_from_trash() -> ResponseReturnValue:
    """Delete entries of the trash permanently."""
    gone, object_count = trash.purge(db.session(), read_form(_Entries).number)
    words = _("This entry was already deleted.")
    if gone:
        commit_action("purge_trash", count=len(gone))
        words = _("Permanently deleted. The originals are still in OneDrive.")
    # The worker deletes the objects, so that nobody waits for object storage here.
    if object_count:
        words = _(
            "Permanently deleted. The worker removes the files from object storage within a "
            "minute. The originals are still in OneDrive."
        )
    say(words)
    return answer(url_for("admin.show_trash"))


class _TrashedSeries(Form):
    series: Id("series")  # type: ignore[valid-type]


@act("/admin/series/purge", _refuse)
def purge_series() -> ResponseReturnValue:
    """Delete a series from the trash permanently."""
    return _purge_series([read_form(_TrashedSeries).series])


@act("/admin/series/purge-all", _refuse)
def purge_all_series() -> ResponseReturnValue:
    """Delete all series from the trash permanently."""
    return _purge_series(None)


def _purge_series(numbers: list[int] | None) -> ResponseReturnValue:
    names = series_trash.purge_series(db.session(), numbers)
    if names:
        commit_action("purge_series", count=len(names), names=names)
        say(
            ngettext(
                "Permanently deleted %(num)s series. Its works are still in the library.",
                "Permanently deleted %(num)s series. Their works are still in the library.",
                len(names),
            )
        )
    else:
        say(_("This entry was already deleted."))
    return answer(url_for("admin.show_trash"))
