"""The texts of works and pages as HTML, with the pictures of the library that they name."""

from flask import render_template
from markupsafe import Markup

from imagehub import markdown
from imagehub.database import db
from imagehub.domain.library.gallery import list_shown_images
from imagehub.gallery import blueprint
from imagehub.gallery.languages import use_visitors_language
from imagehub.gallery.pictures import make_picture
from imagehub.web.public_path import keep_preview


@blueprint.app_template_filter("paragraphs")
def make_paragraphs(text: str) -> Markup:
    """Make HTML of a text in Markdown, see :func:`imagehub.markdown.make_html`.

    Pictures that visitors do not see are left out.
    """
    shown = {}
    if numbers := markdown.list_pictures(text):
        found = list_shown_images(db.session(), numbers)
        use_visitors_language([owner for pair in found for owner in pair], is_short=True)
        shown = {image.id: (group, image) for group, image in found}

    def draw(number: int, caption: str) -> str:
        if number not in shown:
            return ""
        group, image = shown[number]
        picture = make_picture(group, image, f"t{number}")
        return render_template(
            "gallery/_text_picture.html", group=group, picture=picture, caption=caption.strip()
        )

    return Markup(keep_preview(markdown.make_html(text, draw)))  # noqa: S704 - it is sanitised


blueprint.add_app_template_filter(markdown.make_plain, "plain")
