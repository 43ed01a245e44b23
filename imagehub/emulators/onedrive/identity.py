"""The identity platform: sign-in page, codes, tokens, discovery documents.

Like the real documents, these name ``https://login.microsoftonline.com``, because MSAL accepts no
``http`` address; a client of the emulator must rewrite that host.
"""

import hashlib
import hmac
import json
import re
import secrets
from base64 import b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from time import time
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from .aadsts import SignInError, refuse_sign_in
from .claims import MetClaims, are_met, read_claims, write_claims
from .faults import Faults
from .items import Account, make_trace_id
from .pages import show_consent, show_form_post, show_problem, show_signed_out
from .server import Request, Response, answer_json, answer_redirect
from .state import State

PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
_HOST = "https://login.microsoftonline.com"
_GRAPH = "https://graph.microsoft.com"
_CODE_SECONDS = 600
_TOKEN_SECONDS = 3599
_REFRESH_TOKEN_SECONDS = 90 * 86_400
_SIGN_IN_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
_RESOURCE_SCOPES = frozenset(
    name.lower()
    for name in (
        "Files.Read",
        "Files.Read.All",
        "Files.ReadWrite",
        "Files.ReadWrite.All",
        "Files.ReadWrite.AppFolder",
        "Files.Read.Selected",
        "Files.ReadWrite.Selected",
        "User.Read",
        "User.ReadBasic.All",
        "Sites.Read.All",
        "Sites.ReadWrite.All",
        ".default",
    )
)


@dataclass(frozen=True)
class Session:
    """The client, the scopes and the satisfied claims of an access token."""

    client_id: str
    scopes: frozenset[str]  # lower case, without the resource's address
    claims: dict[str, Any] = field(default_factory=dict)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _simplify_scopes(scopes: str) -> frozenset[str]:
    """Return scopes in lower case without the resource's address, for comparison."""
    return frozenset(
        scope.lower().removeprefix(f"{_GRAPH}/".lower()).removeprefix("/")
        for scope in scopes.split()
    )


class IdentityPlatform:
    """The sign-in service for one account.

    :param client_secret: required of a confidential client; "" accepts any secret, or none.
    :param client_id: the only registered application; "" accepts any id.
    :param redirect_uris: the registered addresses; empty accepts any address.
    """

    def __init__(
        self,
        state: State,
        account: Account,
        faults: Faults,
        *,
        client_secret: str = "",
        client_id: str = "",
        redirect_uris: tuple[str, ...] = (),
        auto_consent: bool = False,
    ) -> None:
        self.state = state
        self.account = account
        self.faults = faults
        self.client_secret = client_secret
        self.client_id = client_id
        self.redirect_uris = redirect_uris
        self.auto_consent = auto_consent
        self._met = MetClaims(state)
        self._signer: Any = None
        self._sessions: dict[str, tuple[Session, float]] = {}

    # --- Discovery ---------------------------------------------------------------------------

    def answer_configuration(self, request: Request, tenant: str) -> Response:
        if not self._is_tenant(tenant):
            return refuse_sign_in(SignInError(90002), request)
        issuer = {"common": "{tenantid}", "organizations": "{tenantid}"}.get(tenant)
        if issuer is None:
            issuer = PERSONAL_TENANT if tenant == "consumers" else tenant
        start = f"{_HOST}/{tenant}"
        return answer_json(
            {
                "token_endpoint": f"{start}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "client_secret_basic",
                ],
                "jwks_uri": f"{start}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": f"{_HOST}/{issuer}/v2.0",
                "authorization_endpoint": f"{start}/oauth2/v2.0/authorize",
                "end_session_endpoint": f"{start}/oauth2/v2.0/logout",
                "tenant_region_scope": None,
                "cloud_instance_name": "microsoftonline.com",
                "msgraph_host": "graph.microsoft.com",
            }
        )

    def answer_instance(self, request: Request) -> Response:
        """Answer instance discovery: 1.0 names the tenant's document, 1.1 lists hosts."""
        version = request.query.get("api-version", "1.0")
        endpoint = request.query.get("authorization_endpoint", f"{_HOST}/common/oauth2/v2.0/x")
        tenant = urlsplit(endpoint).path.strip("/").split("/")[0] or "common"
        document: dict[str, Any] = {
            "tenant_discovery_endpoint": f"{_HOST}/{tenant}/v2.0/.well-known/openid-configuration",
            "api-version": version,
        }
        if version == "1.1":
            document["metadata"] = [
                {
                    "preferred_network": "login.microsoftonline.com",
                    "preferred_cache": "login.windows.net",
                    "aliases": [
                        "login.microsoftonline.com",
                        "login.windows.net",
                        "login.microsoft.com",
                        "sts.windows.net",
                    ],
                }
            ]
        return answer_json(document)

    def answer_keys(self, request: Request) -> Response:
        """Return the public key of the tokens, as a JSON Web Key set."""
        from jwt.algorithms import RSAAlgorithm

        key = RSAAlgorithm.to_jwk(self._get_signer()[0].public_key(), as_dict=True)
        return answer_json({"keys": [{**key, "use": "sig", "kid": self._get_signer()[1]}]})

    # --- Sign-in page ------------------------------------------------------------------------

    def answer_authorize(self, request: Request, tenant: str) -> Response:
        """Show the consent page, or redirect back if consent is not needed."""
        if request.method == "GET" and (fault := self.faults.fire("other_login_host")):
            here, host = urlsplit(request.base_url), str(fault.get("host", "localhost"))
            if here.hostname != host:
                there = f"http://{host}:{here.port}{request.path}?{request.query_string}"
                return answer_redirect(there)
        asked = dict(request.query)
        form: dict[str, str] = {}
        if request.method == "POST":
            form = request.read_form()
            asked |= {name: value for name, value in form.items() if name != "decision"}
        problem = self._find_page_problem(tenant, asked)
        if problem is not None:
            return show_problem(*problem)
        if fault := self.faults.fire("authorize_error"):
            return self._send_back(
                asked,
                error=str(fault.get("error", "server_error")),
                error_description=str(fault.get("description", "AADSTS90033: A transient error.")),
            )
        if asked.get("response_type") != "code":
            return self._send_back(
                asked,
                error="unsupported_response_type",
                error_description="AADSTS700054: only response_type 'code' is supported.",
            )
        if asked.get("code_challenge_method", "S256") not in ("S256", "plain"):
            return self._send_back(
                asked,
                error="invalid_request",
                error_description="AADSTS501491: Invalid code_challenge_method.",
            )
        try:
            read_claims(asked.get("claims", ""))
        except ValueError:
            return self._send_back(
                asked,
                error="invalid_request",
                error_description="AADSTS9002313: The parameter 'claims' is not valid.",
            )
        unknown = _simplify_scopes(asked["scope"]) - _SIGN_IN_SCOPES - _RESOURCE_SCOPES
        if unknown:
            return self._send_back(
                asked,
                error="invalid_scope",
                error_description=f"AADSTS70011: The scope '{sorted(unknown)[0]}' is not valid.",
            )
        if asked.get("prompt") == "none":
            if not self._find_grant(asked["client_id"], asked["scope"]):
                return self._send_back(
                    asked,
                    error="interaction_required",
                    error_description="AADSTS65001: The user has not consented yet.",
                )
            return self._send_back(asked, code=self._make_code(asked))
        if form.get("decision") == "cancel":
            return self._send_back(
                asked,
                error="access_denied",
                error_subcode="cancel",
                error_description="AADSTS65004: User declined to consent to access the app.",
            )
        if form.get("decision") == "consent" or self.auto_consent:
            return self._send_back(asked, code=self._make_code(asked))
        wishes = [scope for scope in asked["scope"].split() if scope.lower() not in _SIGN_IN_SCOPES]
        return show_consent(self.account, asked, wishes)

    def _find_page_problem(self, tenant: str, asked: dict[str, str]) -> tuple[int, str] | None:
        """Find an error to show on a page, as the redirect address is not trusted yet."""
        if not self._is_tenant(tenant):
            return 90002, f"Tenant '{tenant}' not found."
        for name in ("client_id", "scope", "redirect_uri", "response_type"):
            if not asked.get(name):
                return 900144, f"The request must contain the parameter '{name}'."
        if self.client_id and asked["client_id"] != self.client_id:
            return 700016, f"Application '{asked['client_id']}' was not found."
        uri = urlsplit(asked["redirect_uri"])
        if uri.scheme not in ("http", "https") or not uri.netloc or uri.fragment:
            return 50011, "The redirect URI is not valid."
        if self.redirect_uris and asked["redirect_uri"] not in self.redirect_uris:
            return 50011, "The redirect URI is not one of those registered."
        own = {"personal": "organizations", "business": "consumers"}[self.account.kind]
        if tenant == own:
            return 50020, f"The account {self.account.username} cannot sign in at '{tenant}'."
        return None

    def _is_tenant(self, tenant: str) -> bool:
        return tenant.lower() in (
            "common",
            "organizations",
            "consumers",
            PERSONAL_TENANT,
            self.account.tenant_id,
        )

    def _send_back(self, asked: dict[str, str], **answer: str) -> Response:
        """Send the answer to the redirect address in the requested response mode."""
        if "code" in answer:
            answer["session_state"] = make_trace_id()
        if "state" in asked:
            answer["state"] = asked["state"]
        uri = asked["redirect_uri"]
        mode = asked.get("response_mode", "query")
        if mode == "form_post":
            return show_form_post(uri, answer)
        if mode == "fragment":
            return answer_redirect(f"{uri}#{urlencode(answer)}")
        joint = "&" if urlsplit(uri).query else "?"
        return answer_redirect(f"{uri}{joint}{urlencode(answer)}")

    def answer_logout(self, request: Request) -> Response:
        target = request.query.get("post_logout_redirect_uri", "")
        if urlsplit(target).scheme in ("http", "https"):
            return answer_redirect(target)
        return show_signed_out()

    def _make_code(self, asked: dict[str, str]) -> str:
        prefix = "M.C507_BL2.2.U." if self.account.kind == "personal" else "1.AXoA"
        code = prefix + secrets.token_urlsafe(48)
        kept = {
            name: asked[name]
            for name in (
                "client_id",
                "redirect_uri",
                "scope",
                "nonce",
                "code_challenge",
                "code_challenge_method",
                "claims",
            )
            if name in asked
        }
        with self.state.transaction() as db:
            db.execute("DELETE FROM login_code WHERE created < ?", (time() - 86_400,))
            db.execute(
                "INSERT INTO login_code VALUES (?, ?, ?, 0)",
                (_hash(code), json.dumps(kept), time()),
            )
        return code

    def _find_grant(self, client_id: str, scope: str) -> str | None:
        wanted = _simplify_scopes(scope) - _SIGN_IN_SCOPES
        with self.state.lock:
            rows = self.state.db.execute(
                "SELECT id, scopes FROM login_grant WHERE client_id = ? AND ended_by = 0",
                (client_id,),
            ).fetchall()
        for grant_id, scopes in rows:
            if wanted <= _simplify_scopes(scopes):
                return str(grant_id)
        return None

    # --- Tokens ------------------------------------------------------------------------------

    def answer_token(self, request: Request, tenant: str) -> Response:
        form = request.read_form()
        request.notes["grant_type"] = form.get("grant_type", "")
        try:
            if not self._is_tenant(tenant):
                raise SignInError(90002, f"Tenant '{tenant}' not found.")
            client_id = self._check_client(request, form)
            if fault := self.faults.fire("aadsts"):
                self._refuse_by_fault(fault, form)
            grant_type = form.get("grant_type")
            if grant_type == "authorization_code":
                return self._redeem_code(form, client_id)
            if grant_type == "refresh_token":
                return self._refresh(form, client_id)
            if not grant_type:
                raise SignInError(900144, "The request must contain 'grant_type'.")
            raise SignInError(70003, f"The grant type '{grant_type}' is not supported.")
        except SignInError as error:
            request.notes["aadsts"] = error.number
            return refuse_sign_in(error, request)

    def _refuse_by_fault(self, fault: dict[str, Any], form: dict[str, str]) -> None:
        """Raise the fault's error, unless a sign-in has satisfied its claims."""
        claims = write_claims(fault["claims"]) if fault.get("claims") else ""
        if claims and are_met(claims, self._find_met(form)):
            return
        raise SignInError(
            int(fault.get("code", 50173)),
            suberror=str(fault.get("suberror", "")),
            claims=claims,
            error=str(fault.get("error", "")),
            status=int(fault.get("http_status", 0)),
        )

    def _find_met(self, form: dict[str, str]) -> dict[str, Any]:
        """Return the claims that the sign-in behind a code or refresh token has satisfied."""
        with self.state.lock:
            row = self.state.db.execute(
                "SELECT request FROM login_code WHERE hash = ?", (_hash(form.get("code", "")),)
            ).fetchone()
            if row is not None:
                return read_claims(json.loads(row[0]).get("claims", ""))
            row = self.state.db.execute(
                "SELECT grant_id FROM refresh_token WHERE hash = ?",
                (_hash(form.get("refresh_token", "")),),
            ).fetchone()
        return {} if row is None else self._met.find(row[0])

    def _check_client(self, request: Request, form: dict[str, str]) -> str:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, password = b64decode(value).decode().partition(":")
            except ValueError:
                raise SignInError(70002) from None
            # RFC 6749, 2.3.1: both halves are form-encoded before they are joined.
            client_id, secret = unquote(name), unquote(password)
        if not client_id:
            raise SignInError(900144, "The request must contain 'client_id'.")
        if self.client_id and client_id != self.client_id:
            raise SignInError(700016, f"Application '{client_id}' was not found.")
        if self.faults.fire("client_secret_expired"):
            raise SignInError(7000222)
        if self.client_secret:
            if not secret:
                raise SignInError(7000218)
            if not hmac.compare_digest(secret.encode(), self.client_secret.encode()):
                raise SignInError(70002)
        return client_id

    def _redeem_code(self, form: dict[str, str], client_id: str) -> Response:
        digest = _hash(form.get("code", ""))
        with self.state.transaction() as db:
            row = db.execute(
                "SELECT request, created, used FROM login_code WHERE hash = ?", (digest,)
            ).fetchone()
            if row is None:
                raise SignInError(70000)
            asked, created, used = json.loads(row[0]), float(row[1]), bool(row[2])
            if used:
                raise SignInError(54005)
            if time() - created > _CODE_SECONDS:
                raise SignInError(70008)
            if client_id != asked["client_id"]:
                raise SignInError(70000, "The code was issued to another client.")
            if form.get("redirect_uri", "") != asked["redirect_uri"]:
                raise SignInError(50011)
            self._check_verifier(asked, form.get("code_verifier", ""))
            scope = form.get("scope") or asked["scope"]
            self._check_scope(scope, asked["scope"])
            db.execute("UPDATE login_code SET used = 1 WHERE hash = ?", (digest,))
            grant_id = secrets.token_hex(16)
            db.execute(
                "INSERT INTO login_grant VALUES (?, ?, ?, ?, 0)",
                (grant_id, client_id, asked["scope"], time()),
            )
            self._met.save(grant_id, read_claims(asked.get("claims", "")))
            return self._issue(grant_id, client_id, scope, form, asked["scope"], asked.get("nonce"))

    def _check_verifier(self, asked: dict[str, str], verifier: str) -> None:
        challenge = asked.get("code_challenge")
        if challenge is None:
            return
        made = verifier
        if asked.get("code_challenge_method", "plain") == "S256":
            made = _encode(hashlib.sha256(verifier.encode()).digest())
        if not verifier or not hmac.compare_digest(made.encode(), challenge.encode()):
            raise SignInError(501481)

    def _check_scope(self, scope: str, consented: str) -> None:
        wanted = _simplify_scopes(scope) - _SIGN_IN_SCOPES
        if wanted - _RESOURCE_SCOPES:
            raise SignInError(70011)
        if wanted - {".default"} - _simplify_scopes(consented):
            raise SignInError(65001)

    def _refresh(self, form: dict[str, str], client_id: str) -> Response:
        with self.state.transaction() as db:
            row = db.execute(
                "SELECT g.id, g.client_id, g.scopes, g.ended_by, r.created "
                "FROM refresh_token r JOIN login_grant g ON g.id = r.grant_id WHERE r.hash = ?",
                (_hash(form.get("refresh_token", "")),),
            ).fetchone()
            if row is None or row[1] != client_id:
                raise SignInError(70000)
            grant_id, _client, consented, ended_by, created = row
            if ended_by:
                raise SignInError(int(ended_by))
            if time() - created > _REFRESH_TOKEN_SECONDS:
                raise SignInError(700082)
            scope = form.get("scope") or consented
            self._check_scope(scope, consented)
            return self._issue(grant_id, client_id, scope, form, consented, None)

    def _issue(
        self,
        grant_id: str,
        client_id: str,
        scope: str,
        form: dict[str, str],
        consented: str,
        nonce: str | None,
    ) -> Response:
        fault = self.faults.fire("token_lifetime")
        seconds = int(float(fault.get("seconds", 60))) if fault else _TOKEN_SECONDS
        access_token = self._make_access_token(client_id, scope, seconds)
        # The scopes are returned exactly as requested: MSAL compares them literally.
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": scope,
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": access_token,
        }
        if fault and "refresh_in" in fault:
            answer["refresh_in"] = int(fault["refresh_in"])
        now = time()
        with self.state.transaction() as db:
            db.execute("DELETE FROM access_token WHERE expires < ?", (now - 86_400,))
            db.execute(
                "INSERT INTO access_token VALUES (?, ?, ?, ?)",
                (_hash(access_token), grant_id, scope, now + seconds),
            )
            met = self._met.find(grant_id)
            with suppress(ValueError):
                met |= read_claims(form.get("claims", ""))
            self._met.save(_hash(access_token), met)
            if "offline_access" in (_simplify_scopes(scope) | _simplify_scopes(consented)):
                prefix = "M.C507_BL2.0.U.-" if self.account.kind == "personal" else "1.AXoA"
                refresh_token = prefix + secrets.token_urlsafe(96)
                db.execute(
                    "INSERT INTO refresh_token VALUES (?, ?, ?)",
                    (_hash(refresh_token), grant_id, now),
                )
                answer["refresh_token"] = refresh_token
        if "openid" in _simplify_scopes(scope):
            answer["id_token"] = self._make_id_token(client_id, nonce)
        if form.get("client_info"):
            info = json.dumps(
                {"uid": self.account.user_id, "utid": self.account.tenant_id},
                separators=(",", ":"),
            )
            answer["client_info"] = _encode(info.encode())
        return answer_json(answer, headers={"Cache-Control": "no-store, no-cache"})

    def _make_access_token(self, client_id: str, scope: str, seconds: int) -> str:
        if self.account.kind == "personal":
            return "EwB" + secrets.token_hex(400)
        now = int(time())
        return self._sign(
            {
                "aud": "00000003-0000-0000-c000-000000000000",
                "iss": f"https://sts.windows.net/{self.account.tenant_id}/",
                "iat": now,
                "nbf": now,
                "exp": now + seconds,
                "appid": client_id,
                "oid": self.account.user_id,
                "tid": self.account.tenant_id,
                "upn": self.account.username,
                "scp": scope,
                "uti": secrets.token_urlsafe(16),
                "ver": "1.0",
            }
        )

    def _make_id_token(self, client_id: str, nonce: str | None) -> str:
        now = int(time())
        claims: dict[str, Any] = {
            "ver": "2.0",
            "iss": f"{_HOST}/{self.account.tenant_id}/v2.0",
            "sub": _encode(hashlib.sha256(f"{client_id}{self.account.user_id}".encode()).digest()),
            "aud": client_id,
            "exp": now + 3600,
            "iat": now,
            "nbf": now,
            "name": self.account.name,
            "preferred_username": self.account.username,
            "oid": self.account.user_id,
            "tid": self.account.tenant_id,
        }
        if nonce is not None:
            claims["nonce"] = nonce
        return self._sign(claims)

    def _sign(self, claims: dict[str, Any]) -> str:
        import jwt

        key, key_id = self._get_signer()
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": key_id})

    def _get_signer(self) -> Any:
        """Return the private key and its id; generated at the first sign-in, then kept."""
        with self.state.lock:
            if self._signer is None:
                from cryptography.hazmat.primitives import serialization
                from cryptography.hazmat.primitives.asymmetric import rsa

                text = self.state.find_setting("signing_key")
                if text is None:
                    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
                    text = made.private_bytes(
                        serialization.Encoding.PEM,
                        serialization.PrivateFormat.PKCS8,
                        serialization.NoEncryption(),
                    ).decode()
                    self.state.save_setting("signing_key", text)
                key = serialization.load_pem_private_key(text.encode(), None)
                self._signer = (key, _hash(text)[:27])
            return self._signer

    # --- For Graph and the control address ------------------------------------------------------

    def find_session(self, token: str) -> Session | None:
        """Return the session of a known access token that is not expired or revoked."""
        digest = _hash(token)
        with self.state.lock:
            kept = self._sessions.get(digest)
            if kept is None:
                row = self.state.db.execute(
                    "SELECT g.client_id, a.scopes, a.expires, g.ended_by FROM access_token a "
                    "JOIN login_grant g ON g.id = a.grant_id WHERE a.hash = ?",
                    (digest,),
                ).fetchone()
                if row is None:
                    return None
                scopes = _simplify_scopes(row[1])
                if ".default" in scopes:
                    scopes |= {"files.readwrite", "user.read"}
                kept = (Session(row[0], scopes, self._met.find(digest)), float(row[2]))
                self._sessions[digest] = kept
        return kept[0] if kept[1] > time() else None

    def revoke(self, number: int, access_tokens: bool) -> int:
        """Revoke every grant: refreshing fails with this AADSTS number from now on.

        Access tokens stay valid until they expire, as in the real service, unless
        ``access_tokens`` is set.

        :return: how many grants were revoked.
        """
        with self.state.transaction() as db:
            count = db.execute(
                "UPDATE login_grant SET ended_by = ? WHERE ended_by = 0", (number,)
            ).rowcount
            if access_tokens:
                self.expire_access_tokens()
        return count

    def expire_access_tokens(self) -> None:
        with self.state.transaction() as db:
            db.execute("UPDATE access_token SET expires = 0")
            self._sessions.clear()

    def forget(self) -> None:
        """Clear the caches after the state was emptied."""
        with self.state.lock:
            self._sessions.clear()


TENANT_PATH = re.compile(
    r"/([^/]+)/(oauth2/v2\.0/(?:authorize|token|logout)|v2\.0/\.well-known/openid-configuration"
    r"|discovery/v2\.0/keys|discovery/instance)$"
)


def answer_identity(platform: IdentityPlatform, request: Request) -> Response | None:
    """Return the platform's answer, or None if the address is not one of its own."""
    match = TENANT_PATH.match(request.path)
    if match is None:
        return None
    tenant, what = match[1].lower(), match[2]
    if what.endswith("/authorize") and request.method in ("GET", "POST"):
        return platform.answer_authorize(request, tenant)
    if what.endswith("/token") and request.method == "POST":
        return platform.answer_token(request, tenant)
    if request.method != "GET" or what.endswith("/token"):
        return answer_json({"error": "invalid_request"}, 405)
    if what.endswith("/logout"):
        return platform.answer_logout(request)
    if what.endswith("openid-configuration"):
        return platform.answer_configuration(request, tenant)
    if what.endswith("/keys"):
        return platform.answer_keys(request)
    return platform.answer_instance(request)
