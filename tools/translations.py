"""Collects the words of templates and code, and compiles the translations.

``python -m tools.translations`` after any change of words: it adds new ones to
``imagehub/translations/de/…/messages.po`` without a translation, says how many are missing, and
writes the ``.mo`` file that the program reads.
"""

import io
import sys
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "imagehub"
TRANSLATIONS = PACKAGE / "translations"
_METHODS: list[Any] = [("**/templates/**.html", "jinja2"), ("**.py", "python")]
_KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "mark": None,
    "mark_plural": (1, 2),
    "_counted": (2, 3),
    "ngettext": (1, 2),
    "plural": (1, 2),
    "Message": None,
    "PluralMessage": (1, 2),
    # Errors are raised with a constant sentence, or with a message.
    "ConflictError": None,
    "ConnectionLostError": None,
    "InvalidInputError": None,
    "NotAllowedError": None,
    "PictureError": None,
    "PictureTooLargeError": None,
    "UnreadablePictureError": None,
}


def collect() -> Catalog:
    """Every sentence that is marked for translation, with the files it stands in."""
    catalog = Catalog(project="ImageHub", charset="utf-8")
    found = extract_from_dir(
        PACKAGE,
        method_map=_METHODS,
        options_map={"**.html": {"extensions": "jinja2.ext.do", "silent": "false"}},
        keywords=_KEYWORDS,
    )
    for name, _, message, comments, context in sorted(found, key=lambda one: (one[0], one[1])):
        # Without line numbers a change elsewhere in a file leaves the catalogue alone.
        location: Any = (f"imagehub/{name}", None)
        catalog.add(message, locations=[location], context=context)
        del comments
    return catalog


def find_po(language: str) -> Path:
    return TRANSLATIONS / language / "LC_MESSAGES" / "messages.po"


def read_catalog(language: str) -> Catalog:
    with find_po(language).open("rb") as file:
        return read_po(file, locale=language)


def compile_catalog(catalog: Catalog) -> bytes:
    """The ``.mo`` file of a catalogue."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def list_missing(catalog: Catalog) -> list[str]:
    """The sentences without a translation, or with a guessed one."""
    return [
        str(message.id)
        for message in catalog
        if message.id
        and (
            message.fuzzy
            or not message.string
            or (isinstance(message.string, tuple) and not all(message.string))
        )
    ]


def main() -> int:
    language = "de"
    catalog = read_catalog(language) if find_po(language).exists() else Catalog(locale=language)
    catalog.update(collect(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.project, catalog.version, catalog.fuzzy = "ImageHub", "1", False
    catalog.header_comment = f"# ImageHub's words ({language})."
    catalog.msgid_bugs_address = catalog.last_translator = catalog.language_team = ""
    catalog.obsolete.clear()
    find_po(language).parent.mkdir(parents=True, exist_ok=True)
    with find_po(language).open("wb") as file:
        write_po(file, catalog, width=100, sort_output=True, omit_header=False)
    find_po(language).with_suffix(".mo").write_bytes(compile_catalog(catalog))
    missing = list_missing(catalog)
    print(f"{len(catalog)} sentences, {len(missing)} without a translation")
    for sentence in missing:
        print(f"  {sentence}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
