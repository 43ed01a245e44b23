"""A signed-in user of the emulator who uses plain HTTP, not the hub's clients."""

import io
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import requests
from PIL import Image

from tests.fixtures.onedrive import LOGIN_URL, OneDrive

CLIENT_ID = "11111111-2222-3333-4444-555555555555"
REDIRECT_URI = "http://localhost:3000/callback"
SCOPE = "Files.ReadWrite User.Read offline_access openid profile"
VERIFIER = "v" * 64
STEP_BYTES = 327_680


def make_challenge(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")


def make_authorize_url(tenant: str = "common", **changes: str | None) -> str:
    """Return a sign-in address like a client's; ``None`` omits a parameter."""
    asked: dict[str, str | None] = {
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": SCOPE,
        "state": "st&te",
        "nonce": "once",
        "code_challenge": make_challenge(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return f"{LOGIN_URL}/{tenant}/oauth2/v2.0/authorize?{urlencode(given)}"


def read_answer(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return dict(parse_qsl(parts.query or parts.fragment))


def fetch_code(onedrive: OneDrive, **changes: str | None) -> str:
    return read_answer(onedrive.consent(make_authorize_url(**changes)))["code"]


def post_token(onedrive: OneDrive, **fields: Any) -> requests.Response:
    headers = fields.pop("headers", {})
    tenant = fields.pop("tenant", "common")
    form = {"client_id": CLIENT_ID, **fields}
    return requests.post(
        f"{onedrive.login_url}/{tenant}/oauth2/v2.0/token",
        data={name: value for name, value in form.items() if value is not None},
        headers=headers,
        timeout=30,
    )


def redeem(onedrive: OneDrive, code: str, **fields: Any) -> requests.Response:
    return post_token(
        onedrive,
        **{
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            **fields,
        },
    )


def refresh(onedrive: OneDrive, refresh_token: str, **fields: Any) -> requests.Response:
    return post_token(onedrive, grant_type="refresh_token", refresh_token=refresh_token, **fields)


class Person:
    """Holds tokens and calls Graph; addresses are absolute (nextLink) or start with a slash."""

    def __init__(self, onedrive: OneDrive, scope: str = SCOPE, claims: str | None = None) -> None:
        self.onedrive = onedrive
        self.session = requests.Session()
        code = fetch_code(onedrive, scope=scope, claims=claims)
        self.use(redeem(onedrive, code, claims=claims))

    def use(self, answer: requests.Response) -> None:
        """Use the tokens of an answer of the token endpoint from now on."""
        assert answer.status_code == 200, answer.text
        self.tokens: dict[str, Any] = answer.json()
        self.session.headers["Authorization"] = f"Bearer {self.tokens['access_token']}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        url = path if path.startswith("http") else self.onedrive.graph_url + path
        options.setdefault("allow_redirects", False)
        return self.session.request(method, url, timeout=60, **options)

    def get(self, path: str, status: int = 200, **options: Any) -> Any:
        answer = self.call("GET", path, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Return status and error code of a call that must fail."""
        answer = self.call(method, path, **options)
        assert answer.status_code >= 400, answer.text
        error = answer.json()["error"]
        assert error["message"]
        assert error["innerError"]["request-id"] == answer.headers["request-id"]
        return answer.status_code, error["code"]

    @property
    def root_id(self) -> str:
        return str(self.get("/me/drive/root")["id"])

    def find(self, path: str) -> dict[str, Any]:
        item: dict[str, Any] = self.get(f"/me/drive/root:/{quote(path)}:")
        return item

    def list_names(self, path: str = "") -> list[str]:
        place = f"root:/{quote(path)}:" if path else "root"
        url = f"/me/drive/{place}/children"
        names: list[str] = []
        while url:
            page = self.get(url)
            names += [item["name"] for item in page["value"]]
            url = page.get("@odata.nextLink", "")
        return names

    def create_folder(self, parent_id: str, name: str, behavior: str = "fail") -> requests.Response:
        return self.call(
            "POST",
            f"/me/drive/items/{parent_id}/children",
            json={"name": name, "folder": {}, "@microsoft.graph.conflictBehavior": behavior},
        )

    def put(self, path: str, data: bytes, **options: Any) -> dict[str, Any]:
        answer = self.call("PUT", f"/me/drive/root:/{quote(path)}:/content", data=data, **options)
        assert answer.status_code in (200, 201), answer.text
        item: dict[str, Any] = answer.json()
        return item

    def start_upload(self, path: str, status: int = 200, **item: Any) -> dict[str, Any]:
        answer = self.call(
            "POST", f"/me/drive/root:/{quote(path)}:/createUploadSession", json={"item": item}
        )
        assert answer.status_code == status, answer.text
        session: dict[str, Any] = answer.json()
        return session

    def follow_delta(self, url: str = "/me/drive/root/delta") -> tuple[list[dict[str, Any]], str]:
        """Return all items of a round, and the deltaLink."""
        items: list[dict[str, Any]] = []
        while True:
            page = self.get(url)
            items += page["value"]
            if "@odata.deltaLink" in page:
                assert "@odata.nextLink" not in page
                return items, page["@odata.deltaLink"]
            url = page["@odata.nextLink"]


def send_fragment(url: str, data: bytes, first: int, total: int | str) -> requests.Response:
    last = first + len(data) - 1
    headers = {"Content-Range": f"bytes {first}-{last}/{total}"}
    return requests.put(url, data=data, headers=headers, timeout=60)


def make_picture(
    format: str = "JPEG", size: tuple[int, int] = (120, 80), exif: Image.Exif | None = None
) -> bytes:
    target = io.BytesIO()
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    options: dict[str, Any] = {"exif": exif} if exif is not None else {}
    image.save(target, format, **options)
    return target.getvalue()
