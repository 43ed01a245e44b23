"""The page of all accounts: who can sign in, disable and enable an account."""

from flask import Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import act, blueprint
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.people import admins, users
from imagehub.errors import ImageHubError, InvalidInputError, TooManyTriesError
from imagehub.messages import mark
from imagehub.web import commit_action
from imagehub.web.access import sign_out_browser
from imagehub.web.errors import get_error_headers, get_error_status
from imagehub.web.forms import Checkbox, Form, FormText, Id, read_form
from imagehub.wiring import get_signing_keys


class AdminFields(Form):
    """``user``: the account; ``password``: of the person who disables it; ``own``: it is theirs."""

    user: Id("account")  # type: ignore[valid-type]
    password: FormText = ""
    own: Checkbox = False


@blueprint.get("/admin/account/admins")
def show_admins() -> ResponseReturnValue:
    """List all accounts."""
    return _render()


def _show_fault(error: ImageHubError) -> ResponseReturnValue:
    page = _render(read_form(AdminFields).user, error)
    return page, get_error_status(error), get_error_headers(error)


@act("/admin/account/admins/disable", _show_fault, InvalidInputError, TooManyTriesError)
def disable_admin() -> ResponseReturnValue:
    """Disable an account, once the password was given again; one's own signs out."""
    fields = read_form(AdminFields)
    is_own = fields.user == current_user.id
    if is_own and not fields.own:
        fault = mark("Confirm that you want to disable your own account.")
        raise InvalidInputError(fault, {"own": fault})
    me = current_user._get_current_object()
    users.check_password_again(db.session(), get_signing_keys(), me, fields.password)
    user = admins.disable_admin(db.session(), fields.user)
    name = user.name
    commit_action("disable_account", user.id, name=name)
    if is_own:
        response: Response = redirect(url_for("auth.sign_in"))  # type: ignore[assignment]
        sign_out_browser(response)
        return response
    say(
        _("The account “%(name)s” was disabled.", name=name),
        undo=".enable_admin",
        user=str(user.id),
    )
    return redirect(url_for(".show_admins"), 303)


@blueprint.post("/admin/account/admins/enable")
def enable_admin() -> ResponseReturnValue:
    """Enable an account again."""
    user = admins.enable_admin(db.session(), read_form(AdminFields).user)
    commit_action("enable_account", user.id, name=user.name)
    say(
        _("The account “%(name)s” was enabled. It has the same password as before.", name=user.name)
    )
    return redirect(url_for(".show_admins"), 303)


def _render(refused: int = 0, error: ImageHubError | None = None) -> str:
    """Render the page; ``error`` is shown in the form of the account ``refused``.

    It stands beside the field that it is about, or at the end of the form.
    """
    fields = error.fields if isinstance(error, InvalidInputError) else {}
    listed = admins.list_admins(db.session())
    enabled_count = sum(one.user.disabled_at is None for one in listed)
    return render_template(
        "admin/admins.html",
        listed=listed,
        can_disable=enabled_count > 1,
        refused=refused,
        fault=error.sentence if error else "",
        faulty=next(iter(fields), ""),
    )
