"""Graph's ``$batch``: several calls in one request."""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

from .calls import Call
from .faults import Faults
from .refusals import answer_common_faults, write_refusal
from .server import Refusal, Request, Response, answer_json

_BATCH_LIMIT = 20


def answer_batch(call: Call, faults: Faults, answer: Callable[[Request], Response]) -> Response:
    """Answer every part of a batch, one after the other.

    :param answer: answers a single call.
    :raise Refusal: 400, the batch itself is malformed.
    """
    if call.request.method != "POST":
        raise Refusal(405, "BadRequest", "A batch must be posted.")
    requests = call.request.read_json().get("requests")
    if not isinstance(requests, list) or not all(isinstance(one, dict) for one in requests):
        raise Refusal(400, "BadRequest", "The batch has no requests.")
    if len(requests) > _BATCH_LIMIT:
        raise Refusal(400, "BadRequest", f"A batch may hold {_BATCH_LIMIT} requests.")
    ids = [str(one.get("id", "")) for one in requests]
    if len(set(ids)) < len(ids) or "" in ids:
        raise Refusal(400, "BadRequest", "The ids of the requests must be there and differ.")
    statuses: dict[str, int] = {}
    responses: list[dict[str, Any]] = []
    for one in requests:
        needed = one.get("dependsOn") or []
        if not isinstance(needed, list) or any(str(other) not in ids for other in needed):
            raise Refusal(400, "BadRequest", "A request depends on one that is not there.")
        if any(not 200 <= statuses.get(str(other), 0) < 400 for other in needed):
            failed = Refusal(424, "FailedDependency", "A request that this needs has failed.")
            response = write_refusal(failed, call.request)
        else:
            response = _answer_part(call, one, faults, answer)
        statuses[str(one["id"])] = response.status
        responses.append(_write_part(str(one["id"]), response))
    return answer_json({"responses": responses})


def _answer_part(
    call: Call, one: dict[str, Any], faults: Faults, answer: Callable[[Request], Response]
) -> Response:
    method, url = str(one.get("method", "GET")).upper(), str(one.get("url", ""))
    if not url.startswith("/"):
        url = f"/{url}"
    url_path, _, query = url.partition("?")
    headers = {"authorization": call.request.headers.get("authorization", "")}
    sent = one.get("headers")
    if isinstance(sent, dict):
        headers |= {str(name).lower(): str(value) for name, value in sent.items()}
    body = one.get("body")
    data = b"" if body is None else json.dumps(body).encode()
    part = Request(
        method,
        f"/v1.0{url_path}",
        query,
        headers,
        call.request.base_url,
        BytesIO(data),
        len(data),
    )
    if url_path == "/$batch":
        refused = Refusal(400, "BadRequest", "A batch cannot hold a batch.")
        return write_refusal(refused, part)
    faults.enter(method, f"/v1.0{url}")
    faulty = answer_common_faults(faults, part)
    return faulty if faulty is not None else answer(part)


def _write_part(part_id: str, response: Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    document: dict[str, Any] = {
        "id": part_id,
        "status": response.status,
        "headers": dict(response.headers),
    }
    if response.body:
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        try:
            document["body"] = json.loads(response.body) if is_json else response.body.decode()
        except ValueError:
            document["body"] = response.body.decode("utf-8", "replace")
    return document
