"""Signing in and out of the single-page app: JSON and bearer tokens."""

from typing import Literal

from flask import Response, jsonify, request
from pydantic import BaseModel
from typing_extensions import TypedDict

from imagehub.auth import blueprint
from imagehub.database import db
from imagehub.domain import accounts
from imagehub.errors import NotAllowedError
from imagehub.openapi import Api, Text, get_token_facts
from imagehub.wiring import get_settings

api = Api(blueprint, "Sign in")


class Credentials(BaseModel):
    username: Text
    password: Text


class SignedInAnswer(TypedDict):
    code: Literal[2]
    token: str


class NotSignedInAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["username or password did not match"]


class TokenAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["valid_jwt_token"]


class RevokedAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["token_revoked"]


@api.call(
    "GET POST /login/",
    takes=Credentials,
    answer=SignedInAnswer | NotSignedInAnswer,
    access="public",
    statuses=(429,),
)
def api_sign_in(fields: Credentials) -> Response:
    """Sign in with name and password.

    New clients should POST. A wrong password and an unknown name get the same answer.
    """
    answer: SignedInAnswer | NotSignedInAnswer
    secret_key = get_settings().secret_key
    try:
        user = accounts.sign_in(
            db.session(), secret_key, fields.username, fields.password, request.remote_addr or ""
        )
    except NotAllowedError:
        answer = {"code": 1, "hint": "username or password did not match"}
    else:
        answer = {"code": 2, "token": accounts.make_token(secret_key, user)}
        db.session.commit()
    response = jsonify(answer)
    response.headers["Cache-Control"] = "no-store"
    return response


@api.call("GET /auth", answer=TokenAnswer, access="token")
def api_check_token() -> TokenAnswer:
    """Ask whether the token is still good."""
    return {"code": 1, "hint": "valid_jwt_token"}


@api.call("POST /auth/revoke", answer=RevokedAnswer, access="token")
def api_revoke_token() -> RevokedAnswer:
    """Sign out: end this token before its hour is over."""
    accounts.revoke_token(db.session(), get_token_facts())
    db.session.commit()
    return {"code": 1, "hint": "token_revoked"}
