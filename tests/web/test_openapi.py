"""The OpenAPI document, and whether the API conforms to it."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import BaseModel, ValidationError
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from imagehub.database import db
from imagehub.web.openapi import Number, Text, list_faults
from imagehub.wiring import get_clients
from tests.fixtures.onedrive import OneDrive
from tests.fixtures.s3 import S3Server
from tests.fixtures.site import ConnectedSite, Site, make_site

# Every call of the contract with the single-page app.
CALLS = {
    "GET /login/", "POST /login/", "GET /auth",
    "GET /image/page", "GET /image/price", "GET /image/total-page", "GET /image/group",
    "GET /site/page", "GET /site/pages", "GET /site/series", "GET /site/series/page",
    "GET /site/filters", "GET /site/works", "GET /site/similar",
    "GET /image/", "GET /image/download",
    "GET /admin/onedrive/connect", "POST /admin/auth/code", "GET /admin/onedrive/folders",
    "GET /admin/onedrive/add-folder", "POST /admin/onedrive/add-folder",
    "GET /admin/onedrive/rename", "POST /admin/onedrive/rename",
    "GET /admin/onedrive/delete-folder", "POST /admin/onedrive/delete-folder",
    "GET /admin/onedrive/upload-session", "POST /admin/onedrive/upload-session",
    "GET /admin/groups", "GET /admin/groups/images", "GET /admin/image",
    "POST /admin/add/image", "POST /admin/delete/image",
    "POST /auth/revoke",
}  # fmt: skip


def list_calls(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


@pytest.fixture
def document(site: Site) -> dict[str, Any]:
    answer = site.get("/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json)


# --- The document ---------------------------------------------------------------------------------


def test_the_document_describes_every_call(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert set(list_calls(document)) == CALLS


def test_every_json_route_is_in_the_document(site: Site, document: dict[str, Any]) -> None:
    # The second is for Microsoft, which documents what it sends.
    others = {"openapi.show_document", "admin.receive_notifications"}
    routes = set()
    for rule in site.app.url_map.iter_rules():
        view = site.app.view_functions[rule.endpoint]
        if getattr(view, "is_api", False) and rule.endpoint not in others:
            routes |= {f"{m} {rule.rule}" for m in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert routes == set(list_calls(document))


def test_every_reference_resolves_and_every_schema_is_used(
    document: dict[str, Any],
) -> None:
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references == set(document["components"]["schemas"])


def test_calls_with_a_token_are_marked_and_document_401(document: dict[str, Any]) -> None:
    for name, operation in list_calls(document).items():
        needs_token = " /admin/" in name or " /auth" in name
        assert operation["security"] == ([{"token": []}] if needs_token else []), name
        assert ("401" in operation["responses"]) == needs_token, name


def test_calls_with_parameters_document_422_and_all_document_503(
    document: dict[str, Any],
) -> None:
    for name, operation in list_calls(document).items():
        takes = bool(operation.get("parameters") or operation.get("requestBody"))
        assert ("422" in operation["responses"]) == takes, name
        assert "Retry-After" in operation["responses"]["503"]["headers"], name
        assert ("429" in operation["responses"]) == (" /login/" in name), name


def test_every_operation_has_a_unique_id_and_a_summary(document: dict[str, Any]) -> None:
    operations = list_calls(document)
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    for name, operation in operations.items():
        assert operation["summary"].endswith("."), name


def test_parameters_state_whether_they_are_required(document: dict[str, Any]) -> None:
    parameters = list_calls(document)["GET /admin/image"]["parameters"]
    assert [(p["name"], p["required"], p["schema"]["type"]) for p in parameters] == [
        ("group_id", True, "integer"),
        ("image_id", False, "integer"),
    ]


# --- Types of parameters --------------------------------------------------------------------------


class Fields(BaseModel):
    number: Number = 0
    text: Text = ""


@pytest.mark.parametrize("number", [0, -(1 << 63), (1 << 63) - 1, "17", " 17 ", 17.0])
def test_a_number_that_fits_a_column_is_accepted(number: object) -> None:
    assert Fields.model_validate({"number": number}).number == int(number)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "number", [True, False, None, 1 << 63, -(1 << 63) - 1, 1.5, "1.5", "", "x", [], {}, 1e300]
)
def test_any_other_number_is_an_error(number: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Fields.model_validate({"number": number})
    [fault] = list_faults(caught.value, "query")
    assert fault["loc"] == ["query", "number"]
    assert set(fault) == {"loc", "msg", "type"}


@pytest.mark.parametrize("text", ["\0", "a\0b", "x" * 1025, None, 5, ["x"]])
def test_a_text_that_fits_no_column_is_an_error(text: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Fields.model_validate({"text": text})
    assert len(list_faults(caught.value, "body")) == 1


def test_an_error_does_not_repeat_the_input() -> None:
    with pytest.raises(ValidationError) as caught:
        Fields.model_validate({"text": "hunter2" * 500, "number": "hunter2"})
    assert "hunter2" not in json.dumps(list_faults(caught.value, "body"))


# --- Conformance ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def busy_site(
    tmp_path_factory: pytest.TempPathFactory,
    start_onedrive: Callable[..., OneDrive],
    s3_server: S3Server,
) -> Iterator[ConnectedSite]:
    """Return a connected site with groups and a folder; imports are not awaited."""
    folder = tmp_path_factory.mktemp("busy")
    onedrive = start_onedrive()
    site = make_site(
        folder / "site",
        import_wait_seconds="0",
        login_base_url=onedrive.url,
        graph_base_url=onedrive.graph_url,
        s3_endpoint_url=s3_server.endpoint_url,
        s3_access_key_id=s3_server.access_key_id,
        s3_secret_access_key=s3_server.secret_access_key,
        s3_bucket="busy-site",
        ms_spa_redirect_uri="https://app.example.org/signed-in",
    )
    get_clients(site.app).store.create_bucket()
    connected = ConnectedSite(site.app, onedrive=onedrive, folder=folder)
    connected.put_files("System", {"front.png": b"1"})
    connected.connect()
    connected.add_group(["a.jpg", "b.jpg"])
    connected.add_group(["c.jpg"], state="draft")
    yield connected
    with connected.app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def call_schema(busy_site: ConnectedSite) -> Any:
    return schemathesis.openapi.from_wsgi("/openapi.json", busy_site.app)


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: str(mode.value))
@pytest.mark.parametrize("name", sorted(CALLS))
def test_all_answers_conform_to_the_document(
    busy_site: ConnectedSite, call_schema: Any, name: str, mode: GenerationMode
) -> None:
    """Send valid and invalid requests, each with a new token, as one call revokes it."""
    method, path = name.split()
    operation = call_schema[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body):
        return  # It has no parameters that could be invalid.

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    def ask(case: schemathesis.Case) -> None:
        # The client does not unpack what is compressed.
        headers = {"Accept-Encoding": "identity"}
        if operation.definition.raw["security"]:
            headers["Authorization"] = f"Bearer {busy_site.make_token()}"
        # The schema alone does not decide validity: "17" is accepted as a number.
        case.call_and_validate(
            headers=headers, excluded_checks=[negative_data_rejection, positive_data_acceptance]
        )

    ask()
