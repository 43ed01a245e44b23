"""Show a text in Markdown as visitors will see it, before it is saved."""

from flask import jsonify, render_template, request
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.web.forms import Form, FormText, read_form


class _Text(Form):
    text: FormText = ""


@blueprint.post("/admin/preview")
def preview_text() -> ResponseReturnValue:
    """Show the text of a form: a page, or ``{"html"}`` for a script; nothing is saved."""
    text = read_form(_Text).text
    if request.accept_mimetypes.best == "application/json":
        return jsonify(html=render_template("admin/_preview.html", text=text))
    return render_template("admin/preview.html", text=text)
