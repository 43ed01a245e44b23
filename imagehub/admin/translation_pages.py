"""The forms that translate works, series and pages, and the lists of missing translations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import create_model

from imagehub.admin import act, blueprint
from imagehub.admin.drive import show_name
from imagehub.admin.library_group import make_thumbnail_url, normalize_lines
from imagehub.admin.library_list import name_group
from imagehub.admin.words import name_language, say
from imagehub.database import db
from imagehub.domain.library import edit, groups, series_edit
from imagehub.domain.library import images as library_images
from imagehub.domain.library import series as library_series
from imagehub.domain.library.series import name_series
from imagehub.domain.site import pages, translating
from imagehub.domain.site.translating import Change, TranslationConflictError
from imagehub.domain.translations import FIELDS, Owner, read_translations
from imagehub.errors import ImageHubError, InvalidInputError, NotFoundError
from imagehub.models import Group, Image, Page, Series
from imagehub.translator import LANGUAGES
from imagehub.web import commit_action
from imagehub.web.errors import get_error_status
from imagehub.web.forms import Form, FormText, PageStart, read_form, read_prefixed, read_query
from imagehub.web.i18n import translate
from imagehub.wiring import get_settings

SHOTS_PER_PAGE = 50
_LONG_FIELDS = ("text", "alt")
_LABELS = {**edit.FIELD_NAMES, **series_edit.FIELD_NAMES}


class _Where(Form):
    """``page``: of the shots; ``before``: the number of the group to continue the list with."""

    page: PageStart = 1
    before: PageStart = 0


class _Act(Form):
    """``next`` is sent by the button that continues with the next incomplete thing."""

    next: FormText = ""


_FIELDS: dict[str, Any] = {
    prefix + name: (FormText | None, None)
    for fields in FIELDS.values()
    for name in fields
    for prefix in ("", "was-")
}
_TextFields = create_model("_TextFields", __base__=Form, **_FIELDS)


class _Row(NamedTuple):
    """One text in the form: in the main language, and as typed in the other one."""

    name: str
    label: str
    main: str
    text: str
    was: str
    is_missing: bool
    fault: str = ""
    is_long: bool = False
    picture_url: str = ""


@dataclass(frozen=True)
class _Thing:
    """What is translated; ``images`` are the shots on this page of the form."""

    kind: "_Kind"
    owner: Group | Series | Page
    images: Sequence[Image] = ()
    all_images: Sequence[Image] = ()

    @property
    def name(self) -> str:
        if isinstance(self.owner, Group):
            return translate(name_group(self.owner))
        if isinstance(self.owner, Series):
            return translate(name_series(self.owner))
        return self.owner.title


@dataclass(frozen=True)
class _Kind:
    """``form`` and ``edit``: the endpoints of this form and of that for the main language."""

    form: str
    edit: str
    action: str
    save: Callable[..., tuple[Any, list[str]]]


_KINDS = {
    Group: _Kind(
        "admin.show_group_texts", "admin.show_library_group", "translate_group",
        translating.translate_group,
    ),
    Series: _Kind(
        "admin.show_series_texts", "admin.show_series_page", "translate_series",
        translating.translate_series,
    ),
    Page: _Kind(
        "admin.show_page_texts", "admin.show_text_page", "translate_page",
        translating.translate_page,
    ),
}  # fmt: skip


class Link(NamedTuple):
    """The form for a thing in one language; ``missing``: how many texts are missing."""

    code: str
    name: str
    url: str
    missing: int = 0


@blueprint.app_template_global("translation_links")
def list_links(owner: Group | Series | Page, images: Sequence[Image] = ()) -> list[Link]:
    """List the forms for a thing, the main language first; none if the hub has one language."""
    languages = get_settings().text_languages
    if len(languages) < 2:
        return []
    kind = _KINDS[type(owner)]
    owners: list[Owner] = [owner, *images]
    missing = translating.count_missing(db.session(), languages, owners)
    main = Link(languages[0], name_language(languages[0]), url_for(kind.edit, number=owner.id))
    return [main] + [
        Link(code, name_language(code), url_for(kind.form, number=owner.id, language=code), count)
        for code, count in missing.items()
    ]


# --- Forms ----------------------------------------------------------------------------------------


def _find(kind: type[Group] | type[Series] | type[Page], number: int) -> _Thing:
    session = db.session()
    if kind is Group:
        group = groups.get_group(session, number)
        images = library_images.list_images(session, group.id)
        first = (max(1, read_query(_Where).page) - 1) * SHOTS_PER_PAGE
        shown = images[first : first + SHOTS_PER_PAGE]
        return _Thing(_KINDS[kind], group, shown, images)
    if kind is Series:
        return _Thing(_KINDS[kind], library_series.get_series(session, number))
    return _Thing(_KINDS[kind], pages.get_page(session, number))


def _check_language(language: str) -> None:
    if language not in get_settings().text_languages[1:]:
        raise NotFoundError("page", language)


def _render(
    thing: _Thing,
    language: str,
    changes: Sequence[Change] = (),
    error: ImageHubError | None = None,
) -> str:
    session, (main_language, *_others) = db.session(), get_settings().text_languages
    owners: list[Owner] = [thing.owner, *thing.images]
    stored = read_translations(session, owners, language)
    typed = {change.name: change for change in changes}
    faults = error.fields if isinstance(error, InvalidInputError) else {}
    lost = error.current if isinstance(error, TranslationConflictError) else {}
    texts: list[_Row] = []
    shots: list[_Row] = []
    for owner in owners:
        for field in FIELDS[owner.__tablename__]:
            name, label, picture_url = field, translate(_LABELS[field]), ""
            if isinstance(owner, Image):
                name = f"{field}-{owner.number}"
                label = _("Alt text of %(name)s", name=show_name(owner.name))
                picture_url = make_thumbnail_url(owner)
            text = was = stored[owner][field]
            if name in typed:
                text, was = typed[name].text, lost.get(name, typed[name].base)
            fault = translate(faults[name]) if name in faults else ""
            if name in lost:
                value = _("“%(name)s”", name=lost[name])
                fault = _(
                    "Someone else has saved %(value)s. Save again to keep your version.",
                    value=value,
                )
            main = getattr(owner, field)
            is_long = field in _LONG_FIELDS
            is_missing = bool(main) and not text and field in translating.COUNTED_FIELDS
            row = _Row(name, label, main, text, was, is_missing, fault, is_long, picture_url)
            (shots if isinstance(owner, Image) else texts).append(row)
    page = max(1, read_query(_Where).page)
    return render_template(
        "admin/translation.html",
        thing=thing,
        links=list_links(thing.owner, thing.all_images),
        language_code=language,
        language_name=name_language(language),
        main_code=main_language,
        main_name=name_language(main_language),
        texts=texts,
        shots=shots,
        page=page,
        page_count=max(1, -(-len(thing.all_images) // SHOTS_PER_PAGE)),
        is_refused=error is not None,
    )


def _read_changes(thing: _Thing) -> list[Change]:
    """Read the texts that were changed in the form: ``title``, ``was-title``, ``alt-3`` …"""
    sent = read_form(_TextFields).model_dump(exclude_none=True)
    changes = []
    for field in FIELDS[thing.owner.__tablename__]:
        text, base = sent.get(field), sent.get(f"was-{field}", "")
        if text is not None:
            changes.append(Change(field, normalize_lines(text), normalize_lines(base)))
    if isinstance(thing.owner, Group):
        was = read_prefixed("was-alt-")
        for shot, text in read_prefixed("alt-").items():
            base = normalize_lines(was.get(shot, ""))
            changes.append(Change("alt", normalize_lines(text), base, shot))
    return [change for change in changes if change.text != change.base]


def _show(kind: type[Group] | type[Series] | type[Page], number: int, language: str) -> str:
    _check_language(language)
    return _render(_find(kind, number), language)


def _save(
    kind: type[Group] | type[Series] | type[Page], number: int, language: str
) -> ResponseReturnValue:
    _check_language(language)
    thing = _find(kind, number)
    _owner, changed = thing.kind.save(db.session(), number, language, _read_changes(thing))
    if changed:
        commit_action(
            thing.kind.action,
            number,
            name=thing.name,
            fields=[_LABELS[name] for name in changed],
            is_edit=True,
            language=LANGUAGES[language],
        )
    say(_("Saved."))
    if read_form(_Act).next:
        return redirect(_find_next(kind, number, language), 303)
    page = read_query(_Where).page
    here = url_for(
        thing.kind.form, number=number, language=language, page=page if page > 1 else None
    )
    return redirect(here, 303)


def _find_next(kind: type[Group] | type[Series] | type[Page], number: int, language: str) -> str:
    """Return the form for the next thing that lacks a text, or the list if there is none."""
    session = db.session()
    if kind is Group:
        found: Sequence[Group | Series | Page]
        found, _rest = translating.list_incomplete_groups(session, language, number, 1)
    elif kind is Series:
        found = translating.list_incomplete_series(session, language)
    else:
        found = translating.list_incomplete_pages(session, language)
    for one in found:
        if one.id != number:
            return url_for(_KINDS[kind].form, number=one.id, language=language)
    return url_for("admin.show_missing_texts", language=language)


def _answer_refusal(
    kind: type[Group] | type[Series] | type[Page],
) -> Callable[..., ResponseReturnValue]:
    def answer(error: ImageHubError, number: int, language: str) -> ResponseReturnValue:
        thing = _find(kind, number)
        form = _render(thing, language, _read_changes(thing), error)
        return form, get_error_status(error)

    return answer


_REFUSALS = (InvalidInputError, TranslationConflictError)


@blueprint.get("/admin/library/<db_id:number>/texts/<language>")
def show_group_texts(number: int, language: str) -> ResponseReturnValue:
    """Show the texts of a group and its shots in another language in a form."""
    return _show(Group, number, language)


@act("/admin/library/<db_id:number>/texts/<language>", _answer_refusal(Group), *_REFUSALS)
def translate_group(number: int, language: str) -> ResponseReturnValue:
    """Save the texts of a group and its shots in another language."""
    return _save(Group, number, language)


@blueprint.get("/admin/series/<db_id:number>/texts/<language>")
def show_series_texts(number: int, language: str) -> ResponseReturnValue:
    """Show the texts of a series in another language in a form."""
    return _show(Series, number, language)


@act("/admin/series/<db_id:number>/texts/<language>", _answer_refusal(Series), *_REFUSALS)
def translate_series(number: int, language: str) -> ResponseReturnValue:
    """Save the texts of a series in another language."""
    return _save(Series, number, language)


@blueprint.get("/admin/pages/<db_id:number>/texts/<language>")
def show_page_texts(number: int, language: str) -> ResponseReturnValue:
    """Show the texts of a page in another language in a form."""
    return _show(Page, number, language)


@act("/admin/pages/<db_id:number>/texts/<language>", _answer_refusal(Page), *_REFUSALS)
def translate_page(number: int, language: str) -> ResponseReturnValue:
    """Save the texts of a page in another language."""
    return _save(Page, number, language)


# --- What is missing ------------------------------------------------------------------------------


@blueprint.get("/admin/texts")
def show_translations() -> ResponseReturnValue:
    """Open the list for the first other language, or say how to add a language."""
    others = get_settings().text_languages[1:]
    if others:
        return redirect(url_for(".show_missing_texts", language=others[0]))
    return render_template("admin/translations.html", languages=[], language_code="")


@blueprint.get("/admin/texts/<language>")
def show_missing_texts(language: str) -> ResponseReturnValue:
    """List the pages and series that lack texts in a language, and some of the works."""
    _check_language(language)
    session, before = db.session(), read_query(_Where).before
    found, following = translating.list_incomplete_groups(session, language, before)
    return render_template(
        "admin/translations.html",
        languages=[(code, name_language(code)) for code in get_settings().text_languages[1:]],
        language_code=language,
        language_name=name_language(language),
        pages=() if before else translating.list_incomplete_pages(session, language),
        series=() if before else translating.list_incomplete_series(session, language),
        groups=found,
        is_continued=before > 0,
        following=following,
        name_group=name_group,
    )
