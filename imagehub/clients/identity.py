"""Microsoft's sign-in, through MSAL: the implementation of :class:`.sign_in.Identity`.

MSAL implements the protocol (PKCE, state, nonce, the format of the token cache); this module turns
its results into values and errors of ImageHub. Each call has its own MSAL application and its own
copy of the token cache, so calls from several threads do not interfere. The caller ensures that an
account is refreshed by one caller at a time.
"""

import json
import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msal
import requests
from msal.exceptions import MsalError

from imagehub import metrics
from imagehub.clients.http import DEFAULT_RETRY_SECONDS, NoAuth, make_session, read_retry_after
from imagehub.clients.refusals import (
    Remedy,
    find_remedy,
    log_refusal,
    make_refusal,
    make_word,
)
from imagehub.clients.sign_in import AccessToken, SignedIn, SignInFlow
from imagehub.errors import (
    SIGN_IN,
    WRONG_CLIENT_SECRET,
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.messages import mark

log = logging.getLogger(__name__)

# At DEBUG MSAL logs sign-in codes and PKCE verifiers, which together give access.
logging.getLogger("msal").setLevel(logging.INFO)
# MSAL recommends that the answer is posted as a form from Microsoft's site. Browsers send no
# SameSite cookie with such a request, so the session of the sign-in would be unknown.
warnings.filterwarnings("ignore", message="response_mode='form_post'", module=r"msal\.")

MICROSOFT_LOGIN = "https://login.microsoftonline.com"

# MSAL adds these itself and refuses them from a caller.
_RESERVED_SCOPES = frozenset({"openid", "profile", "offline_access"})
# MSAL considers a token with less than this left expired.
_LEAST_SECONDS = 300
_DISCOVERY_SECONDS = 24 * 3600.0
_DECLINED = frozenset(
    {"access_denied", "consent_required", "interaction_required", "login_required"}
)
# ImageHub handles claims challenges. Without this, Microsoft sends none, and tokens expire sooner.
# Source: "Claims challenges, claims requests and client capabilities".
_CAPABILITIES = ["cp1"]

_NO_CLIENT_ID = mark("No app registration is configured: the client ID is missing.")
_BAD_CODE = mark(
    "Microsoft does not accept this sign-in: its code was already used, is too old or belongs to "
    "another sign-in. Please start again."
)
_UNREACHABLE = mark("Microsoft’s sign-in cannot be reached at the moment. Please try again later.")


class MicrosoftIdentity:
    """One app registration; its methods are those of :class:`.sign_in.Identity`.

    :param client_id: the application's id.
    :param client_secret: empty for a public client.
    :param login_base_url: another server with the same protocol. MSAL accepts only Microsoft's own
        https address, so addresses are rewritten to this server when requests are sent.
    :param tenant: ``common``, ``organizations``, ``consumers`` or the id of a directory.
    :param timeout_seconds: for connecting, and for each wait for an answer.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str = "",
        login_base_url: str = MICROSOFT_LOGIN,
        tenant: str = "common",
        timeout_seconds: float = 15.0,
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._login_base_url = login_base_url.rstrip("/")
        self._authority = f"{MICROSOFT_LOGIN}/{tenant}"
        self._timeout_seconds = timeout_seconds
        self._session = make_session()
        # The answers of the discovery endpoint, and until when they count.
        self._discovery: _Discovery = {}

    @property
    def registration(self) -> str:
        tenant = self._authority.rpartition("/")[2]
        return f"{self._client_id} at {self._login_base_url}/{tenant}"

    # --- Signing in -------------------------------------------------------------------------------

    def start_sign_in(
        self,
        redirect_uri: str,
        scopes: Sequence[str],
        login_hint: str = "",
        prompt: str = "",
        claims: str = "",
    ) -> SignInFlow:
        operation = "start a sign-in"
        app, _ = self._make_app(operation)
        flow = app.initiate_auth_code_flow(
            _clean_scopes(scopes),
            redirect_uri=redirect_uri,
            login_hint=login_hint or None,
            prompt=prompt or None,
            claims_challenge=claims or None,
        )
        flow["auth_uri"] = _rewrite(flow["auth_uri"], self._login_base_url)
        # MSAL keeps them in the order of a set; sorted, equal flows are equal.
        flow["scope"] = sorted(flow["scope"])
        return SignInFlow(url=flow["auth_uri"], state=flow["state"], flow=flow)

    def finish_sign_in(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> SignedIn:
        operation = "finish a sign-in"
        answer = {"state": str(flow.get("state", "")), **answer}
        if not answer["state"] or answer["state"] != flow.get("state"):
            raise InvalidInputError("This sign-in was not started here, or is already complete.")
        if answer.get("error"):
            raise _explain_declined(answer, operation)
        if not answer.get("code"):
            raise InvalidInputError(
                "Microsoft’s response contains no code.", {"code": "is missing"}
            )
        cache = msal.SerializableTokenCache()
        app, http = self._make_app(operation, cache)
        try:
            result = app.acquire_token_by_auth_code_flow(dict(flow), answer)
            accounts = app.get_accounts()
        except RuntimeError:
            # The nonce of the id token. MSAL's message quotes both, so it is not chained.
            raise InvalidInputError("This sign-in belongs to another request.") from None
        except Exception as error:
            raise http.explain(error, operation) from None
        if "access_token" not in result:
            refusal = http.refuse(result, operation)
            if isinstance(refusal, ConnectionLostError):
                raise ServiceRefusedError(SIGN_IN, operation, "bad_code", _BAD_CODE)
            raise refusal
        return _read_signed_in(result, accounts, cache, operation)

    def adopt_refresh_token(self, refresh_token: str, scopes: Sequence[str]) -> SignedIn:
        operation = "take over a sign-in"
        cache = msal.SerializableTokenCache()
        app, http = self._make_app(operation, cache)
        try:
            result = app.acquire_token_by_refresh_token(refresh_token, _clean_scopes(scopes))
            accounts = app.get_accounts()
        except Exception as error:
            raise http.explain(error, operation) from None
        if "access_token" not in result:
            raise http.refuse(result, operation)
        return _read_signed_in(result, accounts, cache, operation)

    # --- Tokens -----------------------------------------------------------------------------------

    def find_cached_token(self, cache: str, scopes: Sequence[str]) -> AccessToken | None:
        tokens = _read_cache(cache)
        if tokens is None:
            return None
        least = time.time() + _LEAST_SECONDS
        wanted = {_shorten_scope(scope) for scope in _clean_scopes(scopes)}
        # MSAL stores a token under the scopes as the server wrote them. Some servers answer in
        # another case or with the resource's address in front, so the exact words may differ.
        found = [
            (float(entry["expires_on"]), str(entry["secret"]))
            for entry in tokens.search(
                msal.TokenCache.CredentialType.ACCESS_TOKEN, query={"client_id": self._client_id}
            )
            if wanted <= {_shorten_scope(scope) for scope in str(entry.get("target", "")).split()}
        ]
        expires, token = max(found, default=(0.0, ""))
        if expires < least:
            return None
        return AccessToken(token, datetime.fromtimestamp(expires, UTC))

    def refresh_token(
        self, cache: str, scopes: Sequence[str], force: bool = False, claims: str = ""
    ) -> AccessToken:
        operation = "refresh a token"
        if not (force or claims) and (cached := self.find_cached_token(cache, scopes)):
            return cached
        tokens = _read_cache(cache)
        if tokens is None:
            raise ConnectionLostError("OneDrive is not connected yet.", code="no_account")
        app, http = self._make_app(operation, tokens)
        accounts = app.get_accounts()
        if not accounts:
            raise ConnectionLostError("OneDrive is not connected yet.", code="no_account")
        account = accounts[0]
        username = str(account.get("username") or "")
        started = time.time()
        try:
            result = app.acquire_token_silent_with_error(
                _clean_scopes(scopes),
                account,
                force_refresh=True,
                claims_challenge=claims or None,
            )
        except Exception as error:
            raise http.explain(error, operation) from None
        if result is None:
            raise ConnectionLostError(
                "OneDrive must be reconnected.", username, code="no_refresh_token"
            )
        if "access_token" not in result:
            raise http.refuse(result, operation, username)
        return AccessToken(
            token=str(result["access_token"]),
            expires_at=datetime.fromtimestamp(started + float(result.get("expires_in", 0)), UTC),
            cache=tokens.serialize() if tokens.has_state_changed else None,
        )

    # --- MSAL and its errors ----------------------------------------------------------------------

    def _make_app(
        self, operation: str, cache: msal.SerializableTokenCache | None = None
    ) -> tuple[msal.ClientApplication, "_Transport"]:
        """Return an MSAL application for one operation.

        Each has an empty ``http_cache``: with a shared one MSAL would repeat a refusal for a
        minute, even if its cause was fixed. The transport shares the discovery answers.
        """
        if not self._client_id:
            raise ServiceRefusedError(SIGN_IN, operation, WRONG_CLIENT_SECRET, _NO_CLIENT_ID)
        transport = _Transport(
            self._session, self._login_base_url, self._timeout_seconds, self._discovery, operation
        )
        kind = (
            msal.ConfidentialClientApplication
            if self._client_secret
            else msal.PublicClientApplication
        )
        try:
            app = kind(
                self._client_id,
                client_credential=self._client_secret or None,
                authority=self._authority,
                # The authority is Microsoft's own, so it need not be verified.
                instance_discovery=False,
                http_client=transport,
                http_cache={},
                token_cache=cache,
                client_capabilities=_CAPABILITIES,
            )
        except Exception as error:
            raise transport.explain(error, operation) from None
        return app, transport


class _UnusableAnswerError(requests.RequestException):
    """The server sent an answer that MSAL should not read.

    :param temporary: the server has a problem that may pass.
    """

    def __init__(self, temporary: bool) -> None:
        super().__init__()
        self.temporary = temporary


@dataclass
class _Answer:
    """The attributes of an answer that MSAL reads, and the method that it may call."""

    status_code: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise _UnusableAnswerError(temporary=self.status_code >= 500)


_Discovery = dict[str, tuple[float, _Answer]]


@dataclass(repr=False)
class _Transport:
    """The HTTP client of one MSAL application.

    It adds a timeout, rewrites addresses to the configured server, shares discovery answers, and
    keeps the status and Retry-After that MSAL's exceptions lack.
    """

    _session: requests.Session
    _login_base_url: str
    _timeout_seconds: float
    _discovery: _Discovery
    _operation: str
    _last: _Answer | None = None

    def get(self, url: str, **arguments: Any) -> _Answer:
        key = f"{url} {sorted((arguments.get('params') or {}).items())}"
        expires_at, found = self._discovery.get(key, (0.0, None))
        if found is not None and expires_at > time.monotonic():
            return found
        answer = self._send("GET", url, arguments)
        if 200 <= answer.status_code < 300:
            # MSAL refuses endpoints without https, so the server's own addresses are rewritten.
            answer.text = answer.text.replace(self._login_base_url, MICROSOFT_LOGIN)
            self._discovery[key] = (time.monotonic() + _DISCOVERY_SECONDS, answer)
        return answer

    def post(self, url: str, **arguments: Any) -> _Answer:
        return self._send("POST", url, arguments)

    def close(self) -> None:
        """Do nothing: the session is shared."""

    def refuse(self, result: Mapping[str, Any], operation: str, account: str = "") -> ImageHubError:
        """Log a refusal of the token endpoint and return its error."""
        log_refusal(operation, result)
        is_throttled = self._last is not None and self._last.status_code == 429
        seconds = self.retry_after() if is_throttled else None
        return make_refusal(result, operation, account, seconds)

    def retry_after(self) -> float:
        """Return the wait that the last answer names, or a default."""
        return read_retry_after(self._last.headers) if self._last else DEFAULT_RETRY_SECONDS

    def explain(self, error: Exception, operation: str) -> ImageHubError:
        """Return the error for an exception of MSAL or requests.

        Do not chain the exception: its text may quote the answer with tokens.
        """
        status = self._last.status_code if self._last else 0
        log.warning("Cannot %s: %s (status %s)", operation, type(error).__name__, status or "-")
        lasting = isinstance(error, _UnusableAnswerError) and not error.temporary
        if isinstance(error, (requests.RequestException, MsalError)) and not lasting:
            return ServiceBusyError(SIGN_IN, operation, _UNREACHABLE, self.retry_after())
        if 400 <= status < 500:
            sentence = mark("Microsoft’s sign-in does not know this tenant or this address.")
        else:
            sentence = mark("Microsoft’s sign-in sent a response that could not be read.")
        return ServiceRefusedError(SIGN_IN, operation, "bad_answer", sentence)

    def _send(self, method: str, url: str, arguments: dict[str, Any]) -> _Answer:
        arguments.setdefault("timeout", self._timeout_seconds)
        authorization = (arguments.get("headers") or {}).get("Authorization")
        with metrics.measure_graph(self._operation) as call:
            response = self._session.request(
                method,
                _rewrite(url, self._login_base_url),
                # MSAL sets its own header if it needs one; a .netrc file must not replace it.
                auth=_keep_header if authorization else NoAuth(),
                allow_redirects=False,
                **arguments,
            )
            call.status = response.status_code
        self._last = answer = _Answer(response.status_code, response.text, response.headers)
        if response.status_code >= 500:
            raise _UnusableAnswerError(temporary=True)
        if not _is_json_object(answer.text):
            # MSAL would log the whole body. A page that is not JSON comes from a proxy between
            # here and Microsoft, so the problem may pass.
            temporary = response.status_code in (408, 429) or response.status_code < 400
            raise _UnusableAnswerError(temporary=temporary)
        return answer


def _keep_header(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _rewrite(url: str, login_base_url: str) -> str:
    """Return the same address at the configured server."""
    if login_base_url == MICROSOFT_LOGIN:
        return url
    parts, base = urlsplit(url), urlsplit(login_base_url)
    path = base.path.rstrip("/") + parts.path
    return urlunsplit((base.scheme, base.netloc, path, parts.query, parts.fragment))


def _clean_scopes(scopes: Sequence[str]) -> list[str]:
    return sorted({scope for scope in scopes if scope and scope.lower() not in _RESERVED_SCOPES})


def _shorten_scope(scope: str) -> str:
    """Normalise a scope: ``…/Files.Read`` becomes ``files.read``."""
    return scope.rsplit("/", 1)[-1].casefold()


def _read_signed_in(
    result: Mapping[str, Any],
    accounts: Sequence[Mapping[str, Any]],
    cache: msal.SerializableTokenCache,
    operation: str,
) -> SignedIn:
    """Return who signed in, from an answer with tokens and what MSAL cached of it.

    :raise ServiceRefusedError: it does not say.
    """
    if not accounts:
        sentence = mark("Microsoft’s response does not say who signed in.")
        raise ServiceRefusedError(SIGN_IN, operation, "bad_answer", sentence)
    claims = result.get("id_token_claims") or {}
    account = accounts[0]
    return SignedIn(
        home_account_id=str(account["home_account_id"]),
        username=str(claims.get("preferred_username") or account.get("username") or ""),
        name=str(claims.get("name") or ""),
        tenant_id=str(claims.get("tid") or account.get("realm") or ""),
        scopes=tuple(sorted(str(result.get("scope") or "").split())),
        cache=cache.serialize(),
    )


def _read_cache(cache: str) -> msal.SerializableTokenCache | None:
    """Return MSAL's token cache, or None if it is empty or cannot be read."""
    if not cache:
        return None
    if not _is_json_object(cache):
        log.error("A token cache cannot be read; the account must be connected again")
        return None
    tokens = msal.SerializableTokenCache()
    tokens.deserialize(cache)
    return tokens


def _explain_declined(answer: Mapping[str, str], operation: str) -> ImageHubError:
    """Return the error for a redirect without a code."""
    log_refusal(operation, answer)
    if find_remedy(answer) not in (Remedy.SIGN_IN, Remedy.UNKNOWN):
        return make_refusal(answer, operation)
    if answer["error"] in _DECLINED:
        return InvalidInputError("The sign-in was cancelled or declined at Microsoft.")
    return ServiceRefusedError(SIGN_IN, operation, make_word(answer["error"]))
