"""Define calls of the JSON API: validate parameters, check tokens, generate the OpenAPI document.

A view under :meth:`Api.call` gets its parameters as a validated pydantic model and returns a
dictionary. The decorator checks the bearer token first, then reads query, JSON or form into the
model, and answers 422 with one entry for each fault. It keeps the types, from which
``/openapi.json`` is made.

Sources: OpenAPI 3.1.1; RFC 6750 (bearer tokens); JSON Schema 2020-12.
"""

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, TypeVar, cast

from flask import Blueprint, Flask, Response, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from imagehub.database import db
from imagehub.domain.people import api_tokens, tokens
from imagehub.errors import ImageHubError, NotAllowedError
from imagehub.models import ApiToken, User
from imagehub.web.access import PUBLIC_ENDPOINTS
from imagehub.web.errors import make_error_answer, on_refusal
from imagehub.web.forms import flatten
from imagehub.web.headers import make_absolute
from imagehub.web.limits import refuse_deep_json
from imagehub.wiring import get_settings, get_signing_keys

MAX_LIST_ITEMS = 10_000
MAX_FAULTS = 200
_REF_TEMPLATE = "#/components/schemas/{model}"

View = TypeVar("View", bound=Callable[..., Any])


# --- Types of parameters --------------------------------------------------------------------------


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


def _refuse_nul(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("string_nul", "The character NUL cannot be part of a text")
    return value


# An integer that fits a BIGINT. A bool is an int in Python, but true and false are no numbers here.
Number = Annotated[int, BeforeValidator(_refuse_bool), Field(ge=-(1 << 63), lt=1 << 63)]
_TEXT_SCHEMA = {"pattern": "^[^\\u0000]*$"}
# A line of text, such as a name. No column or service takes a longer one, or a NUL.
Text = Annotated[
    str, Field(max_length=1024, json_schema_extra=_TEXT_SCHEMA), AfterValidator(_refuse_nul)
]
LongText = Annotated[
    str, Field(max_length=8192, json_schema_extra=_TEXT_SCHEMA), AfterValidator(_refuse_nul)
]


class Fault(TypedDict):
    loc: list[str | int]
    msg: str
    type: str


class Faults(TypedDict):
    """What is wrong with the parameters: one entry a fault."""

    detail: list[Fault]


class Refusal(TypedDict):
    """Why there is no answer, in words."""

    detail: str


# --- Calls ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    """The description of one call. ``answer`` is the type of a 200."""

    methods: tuple[str, ...]
    path: str
    takes: type[BaseModel] | None
    answer: Any
    needs_token: bool
    statuses: tuple[int, ...]
    doc: str
    tag: str
    takes_forms: bool
    changes: bool


@dataclass(frozen=True)
class Api:
    """Adds calls to a blueprint. The endpoint has the name of the view."""

    blueprint: Blueprint
    tag: str

    def call(
        self,
        rule: str,
        *,
        answer: Any,
        takes: type[BaseModel] | None = None,
        statuses: Sequence[int] = (),
        takes_forms: bool = True,
        changes: bool | None = None,
    ) -> Callable[[View], View]:
        """Make a function the view of an address.

        The call requires a bearer token, whatever the session, unless its endpoint is one of
        ``PUBLIC_ENDPOINTS``.

        :param rule: methods and path: ``"GET POST /admin/onedrive/rename"``. A slash at the end of
            the path is optional. GET reads the query, POST a JSON or form body.
        :param answer: type of the JSON of a 200, usually a union of TypedDicts.
        :param takes: model of the parameters, passed to the view as its only argument.
        :param statuses: possible statuses in addition to 401, 413, 422 and 503.
        :param takes_forms: False if the body is too deeply nested for a form.
        :param changes: the call changes something, so read-only tokens are refused; by default
            True if it accepts POST.
        """
        *methods, path = rule.split()
        is_change = "POST" in methods if changes is None else changes

        def decorate(view: View) -> View:
            needs_token = f"{self.blueprint.name}.{view.__name__}" not in PUBLIC_ENDPOINTS

            @wraps(view)
            def checked() -> ResponseReturnValue:
                refusal = _check_token(is_change) if needs_token else None
                if refusal is not None:
                    return refusal
                if takes is None:
                    return cast(ResponseReturnValue, view())
                try:
                    fields = _read_fields(takes, takes_forms)
                except ValidationError as error:
                    source = "query" if request.method in ("GET", "HEAD") else "body"
                    return make_error_answer(422, "", list_faults(error, source))
                except PydanticCustomError as error:
                    fault = {"loc": ["body"], "msg": error.message(), "type": error.type}
                    return make_error_answer(422, "", [fault])
                return cast(ResponseReturnValue, view(fields))

            marks = cast(Any, checked)
            marks.is_api, marks.checks_token = True, needs_token
            marks.operation = Operation(
                tuple(methods),
                path,
                takes,
                answer,
                needs_token,
                tuple(statuses),
                view.__doc__ or "",
                self.tag,
                takes_forms,
                is_change and needs_token,
            )
            self.blueprint.add_url_rule(
                path, view.__name__, checked, methods=methods, strict_slashes=False
            )
            return cast(View, checked)

        return decorate


def answers_failure(kind: type[ImageHubError], **answer: Any) -> Callable[[View], View]:
    """Let a call answer errors of one kind with these fields and 200; goes below Api.call."""
    return on_refusal(lambda error, *_: answer, kind)


def get_caller() -> User:
    """Return the person who owns the bearer token of this call."""
    return cast(User, g.token_user)


def get_token_facts() -> tokens.TokenFacts:
    """Return the facts of this call's token, which must be one of a sign-in."""
    return cast(tokens.TokenFacts, g.token_facts)


def get_api_token() -> ApiToken | None:
    """Return the token of this call if it was made on the account page."""
    return cast("ApiToken | None", g.get("api_token"))


def _check_token(is_change: bool) -> Response | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    try:
        if scheme.lower() != "bearer" or not token:
            raise NotAllowedError("A bearer token is required. Please sign in.")
        if token.startswith(api_tokens.PREFIX):
            g.token_user, g.api_token = api_tokens.get_by_token(db.session(), token)
        else:
            g.token_user, g.token_facts = tokens.get_user_by_token(
                db.session(), get_signing_keys(), token
            )
    except NotAllowedError as error:
        return make_error_answer(401, str(error), headers={"WWW-Authenticate": "Bearer"})
    made = get_api_token()
    if is_change and made is not None and made.scope != "write":
        return make_error_answer(403, "This token may read, but change nothing.")
    return None


# --- Reading parameters ---------------------------------------------------------------------------


def _read_fields(model: type[BaseModel], takes_forms: bool) -> BaseModel:
    """Read query or body; PydanticCustomError means that the body has another media type."""
    if request.method in ("GET", "HEAD"):
        return model.model_validate(flatten(model, request.args, keep_repeated=True))
    kind = request.mimetype
    if request.is_json:
        return model.model_validate_json(request.get_data(cache=False))
    if takes_forms and kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return model.model_validate(flatten(model, request.form, keep_repeated=True))
    if not kind and not request.content_length:
        return model.model_validate({})
    wanted = "JSON or a form" if takes_forms else "JSON"
    raise PydanticCustomError("content_type", f"Send {wanted}, and its Content-Type with it")


def list_faults(error: ValidationError, source: str) -> list[dict[str, Any]]:
    """List pydantic's faults as ``{"loc", "msg", "type"}``, without the input.

    :raise BadRequest: the body is JSON that is nested too deeply.
    """
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    refuse_deep_json(faults)
    return [
        {"loc": [source, *fault["loc"]], "msg": fault["msg"], "type": fault["type"]}
        for fault in faults[:MAX_FAULTS]
    ]


# --- The document ---------------------------------------------------------------------------------


def init_app(app: Flask) -> None:
    app.add_url_rule("/openapi.json", endpoint="openapi.show_document", view_func=show_document)


def show_document() -> Response:
    """Answer with the OpenAPI document of all calls."""
    if "imagehub.openapi" not in current_app.extensions:
        current_app.extensions["imagehub.openapi"] = make_document(current_app)
    # Without the slash, because every path of the document begins with one.
    servers = [{"url": make_absolute(request.script_root)}]
    return jsonify(current_app.extensions["imagehub.openapi"] | {"servers": servers})


show_document.is_api = True  # type: ignore[attr-defined]


def make_document(app: Flask) -> dict[str, Any]:
    """Make an OpenAPI 3.1 document from the types of the views."""
    operations = sorted(
        {view.operation for view in app.view_functions.values() if hasattr(view, "operation")},
        key=lambda operation: operation.path,
    )
    models = {o.takes for o in operations if o.takes is not None}
    inputs: list[tuple[Any, Any, TypeAdapter[Any]]] = [
        (("in", model), "validation", TypeAdapter(model)) for model in models
    ]
    inputs += [(("out", o), "serialization", TypeAdapter(o.answer)) for o in operations]
    inputs += [(("out", kind), "serialization", TypeAdapter(kind)) for kind in (Faults, Refusal)]
    schemas, definitions = TypeAdapter.json_schemas(cast(Any, inputs), ref_template=_REF_TEMPLATE)
    components = definitions.get("$defs", {})

    def find_schema(direction: str, key: Any) -> dict[str, Any]:
        mode = "validation" if direction == "in" else "serialization"
        return copy.deepcopy(schemas[((direction, key), mode)])  # type: ignore[index]

    paths: dict[str, Any] = {}
    for operation in operations:
        for method in operation.methods:
            paths.setdefault(operation.path, {})[method.lower()] = _describe(
                operation, method, find_schema, components
            )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{get_settings(app).title}: calls of the single-page app",
            "version": "1",
            "description": "Every path answers the same with and without a slash at its end.",
        },
        "paths": paths,
        "components": {
            "schemas": _keep_used(components, paths),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": (
                        "The token of `/login/`, good for an hour, or one made on the account's "
                        "page, which may read, or read and change."
                    ),
                }
            },
        },
    }


def _describe(
    operation: Operation,
    method: str,
    find_schema: Callable[[str, Any], dict[str, Any]],
    components: dict[str, Any],
) -> dict[str, Any]:
    refusal, faults = find_schema("out", Refusal), find_schema("out", Faults)
    sentences = {
        400: "The body is JSON that is nested too deeply.",
        401: "The bearer token is missing, malformed, expired, revoked or not ours.",
        403: "The token may read, but change nothing.",
        405: "This hub is set to accept POST only.",
        413: "The body is too large.",
        429: "Too many failed tries; Retry-After says when to come back.",
        503: "The database or OneDrive cannot be reached; Retry-After says when to retry.",
    }
    statuses = {503, *operation.statuses}
    conditions = {401: operation.needs_token, 403: operation.changes, 413: method == "POST"}
    conditions[400] = method == "POST" and operation.takes is not None
    statuses |= {status for status, applies in conditions.items() if applies}
    success = "The answer; its code tells success from failure."
    answers = {"200": _describe_answer(success, find_schema("out", operation))}
    for status in sorted(statuses):
        answers[str(status)] = _describe_answer(sentences[status], refusal)
        if status in (429, 503):
            answers[str(status)]["headers"] = {
                "Retry-After": {"schema": {"type": "string"}, "description": "Seconds."}
            }
    if operation.takes is not None:
        answers["422"] = _describe_answer("Parameters that cannot be used.", faults)
    words = re.split(r"[^a-zA-Z0-9]+", operation.path.strip("/"))
    summary, _, description = operation.doc.partition("\n\n")
    described: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *words]),
        "tags": [operation.tag],
        "summary": summary.strip(),
        "responses": answers,
    }
    if description:
        described["description"] = " ".join(description.split())
    described["security"] = [{"token": []}] if operation.needs_token else []
    if operation.takes is not None:
        schema = find_schema("in", operation.takes)
        if method == "GET":
            described["parameters"] = _list_parameters(schema, components)
        else:
            kinds = ["application/json"]
            if operation.takes_forms:
                kinds.append("application/x-www-form-urlencoded")
            described["requestBody"] = {
                "required": True,
                "content": {kind: {"schema": schema} for kind in kinds},
            }
    return described


def _describe_answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _list_parameters(schema: dict[str, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    parameters = []
    for name, rule in schema.get("properties", {}).items():
        rule = {key: value for key, value in rule.items() if key not in ("title", "default")}
        choices = [choice for choice in rule.get("anyOf", []) if choice.get("type") != "null"]
        if len(choices) == 1:  # A query has no null: an optional parameter is just not required.
            rule = {k: v for k, v in rule.items() if k != "anyOf"} | choices[0]
        parameter = {"name": name, "in": "query", "required": name in required, "schema": rule}
        parameters.append(parameter)
    return parameters


def _keep_used(components: dict[str, Any], paths: dict[str, Any]) -> dict[str, Any]:
    """Drop the models that were split into parameters."""
    used: set[str] = set()
    found = _find_references(paths)
    while found:
        used |= found
        found = _find_references([components[name] for name in found]) - used
    return {name: schema for name, schema in components.items() if name in used}


def _find_references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"].rpartition("/")[2]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(_find_references(value) for value in part.values()))
    if isinstance(part, list):
        return set().union(*(_find_references(value) for value in part))
    return set()
