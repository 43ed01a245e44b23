"""The texts of works as HTML: paragraphs, lines, and links for the web addresses in them."""

import re

from jinja2.utils import urlize
from markupsafe import Markup

from imagehub.gallery import blueprint

_MAX_SHOWN_URL_CHARS = 60


@blueprint.app_template_filter("paragraphs")
def make_paragraphs(text: str) -> Markup:
    """Make HTML of a plain text: empty lines separate paragraphs, web addresses become links.

    Everything else is escaped. Only ``http``, ``https`` and ``mailto`` addresses become links.
    They do not name the page that they are on, which may be a secret share link.
    """
    lines = text.replace("\r\n", "\n").strip()
    paragraphs = (part.strip() for part in re.split(r"\n[^\S\n]*\n", lines))
    return Markup("").join(
        Markup("<p>{}</p>").format(Markup("<br>").join(map(_link, paragraph.split("\n"))))
        for paragraph in paragraphs
        if paragraph
    )


def _link(line: str) -> Markup:
    # urlize escapes all that it does not make itself.
    return Markup(urlize(line, _MAX_SHOWN_URL_CHARS, rel="noreferrer noopener"))  # noqa: S704
