"""Texts of works, series and pages in the visitor's language, and addresses of the others."""

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from imagehub.database import db
from imagehub.domain.library.gallery import Tile
from imagehub.domain.translations import Owner, is_translated, use_language
from imagehub.gallery import blueprint
from imagehub.web.i18n import get_language, get_text_language, list_alternates
from imagehub.wiring import get_settings


def use_visitors_language(owners: Iterable[Owner | None], *, is_short: bool = False) -> None:
    """Replace the texts of loaded objects by those in the visitor's language.

    It takes one statement, so call it once for everything that a page shows; for visitors who read
    the main language it takes none.

    :param is_short: only what a wall shows, without long texts.
    """
    use_language(db.session(), get_text_language(), owners, is_short=is_short)


def list_owners(tiles: Iterable[Tile]) -> list[Owner]:
    """List the groups and covers of a wall, whose texts it shows."""
    return [owner for tile in tiles for owner in (tile.group, tile.cover)]


@blueprint.app_template_global("lang_of")
def make_lang_attribute(owner: Any, field: str) -> str:
    """Return ``lang="…"`` for a text that is not in the language of the page, else "".

    Screen readers use it for the pronunciation. Source: WCAG 2.2, 3.1.2 Language of Parts.
    """
    main = get_settings().main_language
    if main in ("", get_language()) or is_translated(owner, field) or not getattr(owner, field):
        return ""
    return Markup(' lang="{}"').format(main)


blueprint.add_app_template_global(list_alternates)
