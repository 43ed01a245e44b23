"""What the files of a work say about it: accept it, or discard it."""

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import act
from imagehub.admin.library_list import name_group
from imagehub.admin.words import return_refused, say
from imagehub.database import db
from imagehub.domain.library import found_words, groups
from imagehub.domain.library.credits import get_credits
from imagehub.domain.library.edit import FIELD_NAMES
from imagehub.domain.library.found_words import Hub, Proposal
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.models import Group
from imagehub.web import commit_action
from imagehub.web.forms import Form, FormText, read_form
from imagehub.wiring import get_settings


class _Choice(Form):
    """``name``: of a proposal; "" for all of the work."""

    name: FormText = ""


def get_hub() -> Hub:
    """Return the settings in force that proposals depend on."""
    settings = get_settings()
    return {**get_credits(settings).__dict__, "language": settings.language}


def list_found(group: Group) -> list[Proposal]:
    """List what the files of a group propose."""
    return found_words.list_proposals(db.session(), get_hub(), group)


def _refuse(error: ImageHubError, number: int) -> ResponseReturnValue:
    return return_refused(error, _find_place(number))


@act("/admin/library/<db_id:number>/words/accept", _refuse, InvalidInputError)
def accept_words(number: int) -> ResponseReturnValue:
    """Save one or all of the proposed values."""
    return _decide(number, is_accepted=True)


@act("/admin/library/<db_id:number>/words/discard", _refuse, InvalidInputError)
def discard_words(number: int) -> ResponseReturnValue:
    """Propose one or all of the values no more."""
    return _decide(number, is_accepted=False)


def _decide(number: int, *, is_accepted: bool) -> ResponseReturnValue:
    chosen = read_form(_Choice).name
    decide = found_words.accept if is_accepted else found_words.discard
    fields = decide(db.session(), get_hub(), number, [chosen] if chosen else None)
    if fields:
        commit_action(
            "accept_words" if is_accepted else "discard_words",
            number,
            name=name_group(groups.get_group(db.session(), number)),
            fields=[FIELD_NAMES[name] for name in fields],
        )
        say(_("Saved.") if is_accepted else _("Discarded."))
    return redirect(_find_place(number), 303)


def _find_place(number: int) -> str:
    return url_for(".show_library_group", number=number, _anchor="found")
