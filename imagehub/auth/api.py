"""Sign in to the JSON API, check its tokens, and revoke them."""

from typing import Literal

from flask import Response, jsonify, request
from pydantic import BaseModel
from typing_extensions import TypedDict
from werkzeug.exceptions import MethodNotAllowed

from imagehub.auth import blueprint
from imagehub.auth.pages import note_failed_sign_in
from imagehub.database import db
from imagehub.domain.people import api_tokens, second_factor, tokens, users
from imagehub.errors import NotAllowedError
from imagehub.models import User
from imagehub.web import commit_action
from imagehub.web.openapi import Api, Text, get_api_token, get_caller, get_token_facts
from imagehub.wiring import get_settings, get_signing_keys, get_vault

api = Api(blueprint, "Sign in")


class Credentials(BaseModel):
    """``code``: of the authenticator app, where two-factor authentication is on."""

    username: Text
    password: Text
    code: Text = ""


class SignedInAnswer(TypedDict):
    code: Literal[2]
    token: str


class NotSignedInAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["username or password did not match"]


class CodeNeededAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["second_factor_needed"]


class TokenAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["valid_jwt_token"]


class RevokedAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["token_revoked"]


@api.call(
    "GET POST /login/",
    takes=Credentials,
    answer=SignedInAnswer | NotSignedInAnswer | CodeNeededAnswer,
    statuses=(405, 429),
)
def api_sign_in(fields: Credentials) -> Response:
    """Sign in with name and password.

    New clients should POST; GET can be switched off. A wrong password and an unknown name get the
    same answer. Where the person has a second factor, a right password without the right code gets
    a hint of its own.
    """
    answer: SignedInAnswer | NotSignedInAnswer | CodeNeededAnswer
    if request.method != "POST" and not get_settings().get_sign_in:
        raise MethodNotAllowed(["POST"])
    session, keys = db.session(), get_signing_keys()
    try:
        user = users.sign_in(
            session, keys, fields.username, fields.password, request.remote_addr or ""
        )
    except NotAllowedError:
        answer = {"code": 1, "hint": "username or password did not match"}
        note_failed_sign_in(users.find_user(session, fields.username))
    else:
        if _passes_second_factor(user, fields.code):
            answer = {"code": 2, "token": tokens.make_token(keys, user)}
            commit_action("sign_in_by_api", user.id, actor=user)
        else:
            answer = {"code": 1, "hint": "second_factor_needed"}
    response = jsonify(answer)
    response.headers["Cache-Control"] = "no-store"
    return response


def _passes_second_factor(user: User, code: str) -> bool:
    """Tell whether the person has none, or the code is right, which uses it up."""
    session, keys, user_id = db.session(), get_signing_keys(), user.id
    if not second_factor.is_on(session, user_id):
        return True
    if not code.strip():
        return False
    session.commit()
    try:
        second_factor.check(session, get_vault(), keys, user, code)
    except NotAllowedError:
        note_failed_sign_in(user)
        return False
    session.commit()
    second_factor.forget_attempts(session, keys, user_id)
    return True


@api.call("GET /auth", answer=TokenAnswer)
def api_check_token() -> TokenAnswer:
    """Ask whether the token is still good."""
    return {"code": 1, "hint": "valid_jwt_token"}


@api.call("POST /auth/revoke", answer=RevokedAnswer, changes=False)
def api_revoke_token() -> RevokedAnswer:
    """Sign out: end this token before its time."""
    token = get_api_token()
    if token is not None:
        name = api_tokens.revoke_token(db.session(), get_caller(), token.id)
        commit_action("revoke_own_token", token.id, name=name)
    else:
        tokens.revoke_token(db.session(), get_token_facts())
        db.session.commit()
    return {"code": 1, "hint": "token_revoked"}
