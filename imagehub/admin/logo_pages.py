"""Choose a file of OneDrive as the logo: a page with folders and image files."""

from typing import Any, Literal

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import act, blueprint, drive
from imagehub.admin.look_pages import LookChoices, list_changes
from imagehub.admin.words import return_refused, say
from imagehub.database import db, end_read
from imagehub.domain.imports.logos import fetch_logo
from imagehub.domain.imports.site_pictures import Source
from imagehub.errors import ConnectionLostError, ImageHubError, InvalidInputError, ServiceError
from imagehub.imaging.once import open_renderer
from imagehub.web import commit_action
from imagehub.web.errors import on_refusal
from imagehub.web.forms import FormText, read_form, read_query
from imagehub.wiring import get_clients


class _LogoQuery(LookChoices):
    """``theme``: what the logo is for. ``page``: OneDrive's mark of a page of the folder."""

    theme: Literal["light", "dark"] = "light"
    folder: FormText = ""
    page: FormText = ""


class _LogoFields(_LogoQuery):
    item: FormText = ""


@blueprint.post("/admin/look/logo")
def leave_for_logo() -> ResponseReturnValue:
    """Redirect to the files to choose from, keeping what is chosen on the page."""
    fields = read_form(_LogoQuery)
    changes: dict[str, Any] = list_changes(fields)
    return redirect(url_for(".choose_logo", theme=fields.theme, **changes), 303)


@blueprint.get("/admin/look/logo")
@on_refusal(drive.show_trouble, ConnectionLostError, ServiceError)
def choose_logo() -> ResponseReturnValue:
    """Show a folder of OneDrive, to choose a logo."""
    query = read_query(_LogoQuery)
    choices = list_changes(query)
    is_dark = query.theme == "dark"
    return render_template(
        "admin/choose_file.html",
        heading=_("Choose a logo for the dark theme") if is_dark else _("Choose a logo"),
        words=_(
            "PNG, WebP, JPEG or AVIF; transparent parts stay transparent. SVG drawings can contain "
            "scripts: export one as PNG, 300 pixels high or more."
        ),
        back=(url_for(".show_look", **choices), _("Look")),  # type: ignore[arg-type]
        here=".choose_logo",
        use_url=url_for(".use_logo"),
        kept={"theme": query.theme, **choices},
        **drive.describe_choices(query.folder, query.page),
    )


def _refuse(error: ImageHubError) -> ResponseReturnValue:
    if isinstance(error, ConnectionLostError | ServiceError):
        return drive.show_trouble(error)
    fields = read_form(_LogoFields)
    choices: dict[str, Any] = list_changes(fields)
    place = url_for(".choose_logo", theme=fields.theme, folder=fields.folder or None, **choices)
    return return_refused(error, place)


@act("/admin/look/logo/use", _refuse, InvalidInputError, ConnectionLostError, ServiceError)
def use_logo() -> ResponseReturnValue:
    """Fetch the chosen file; visitors see it once the look is saved."""
    fields = read_form(_LogoFields)
    if not fields.item:
        raise InvalidInputError("Select a file first.", {"item": "is empty"})
    choices: dict[str, Any] = list_changes(fields)
    account_id, opened = drive.open_drive()
    end_read(db.session())
    with open_renderer() as renderer:
        source = Source(account_id, fields.item)
        logo = fetch_logo(db.session(), get_clients(), renderer, opened, source)
    choices["logo_dark" if fields.theme == "dark" else "logo"] = str(logo.id)
    commit_action("add_logo", "site", name=drive.show_name(logo.name))
    say(_("The logo is here. Visitors see it once you save the look."))
    return redirect(url_for(".show_look", _anchor="logo", **choices), 303)
