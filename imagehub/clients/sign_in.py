"""The contract of Microsoft's sign-in, which ``identity`` implements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class SignInFlow:
    """A pending sign-in. ``flow`` can be stored as JSON, is secret, and can be used once."""

    url: str
    state: str
    flow: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class SignedIn:
    """A finished sign-in. ``cache`` is the serialised token cache: secret, store it encrypted."""

    home_account_id: str
    username: str
    name: str
    tenant_id: str
    scopes: Sequence[str]
    cache: str = field(repr=False)


@dataclass(frozen=True)
class AccessToken:
    """An access token. ``cache`` is the new token cache if it changed; save it first."""

    token: str = field(repr=False)
    expires_at: datetime
    cache: str | None = field(default=None, repr=False)


class Identity(Protocol):
    """Microsoft's sign-in with one app registration."""

    @property
    def registration(self) -> str:
        """Identify app registration, server and tenant: only the same can finish a sign-in."""

    def start_sign_in(
        self,
        redirect_uri: str,
        scopes: Sequence[str],
        login_hint: str = "",
        prompt: str = "",
        claims: str = "",
    ) -> SignInFlow:
        """Return the address at which to sign in, and the flow to keep until then.

        :param claims: a claims challenge that this sign-in must satisfy, as Microsoft sent it.
        :raise ServiceBusyError: Microsoft's sign-in cannot be reached.
        :raise ServiceRefusedError: no client id is set, the tenant does not exist, or the answer
            cannot be read.
        """

    def finish_sign_in(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> SignedIn:
        """Redeem the code that the browser brought back.

        :param flow: from :meth:`start_sign_in`, unchanged.
        :param answer: the query of the redirect (code, state, or error …). A program that passes on
            only the code omits ``state``; then the caller guarantees that flow and code belong
            together.
        :raise InvalidInputError: the state is not that of the flow, or the person declined.
        :raise ServiceRefusedError: ``bad_code`` (used or wrong), ``wrong_client_secret`` (wrong or
            expired), ``wrong_registration``, ``needs_administrator``, or Microsoft's error.
        :raise ServiceBusyError: Microsoft's sign-in cannot be reached, or refuses for a reason
            that passes.
        """

    def adopt_refresh_token(self, refresh_token: str, scopes: Sequence[str]) -> SignedIn:
        """Sign in with a refresh token that another program got for this app registration.

        :raise ConnectionLostError: it has expired, was revoked or belongs to another registration.
        :raise ServiceRefusedError: as :meth:`refresh_token`.
        :raise ServiceBusyError: try again.
        """

    def find_cached_token(self, cache: str, scopes: Sequence[str]) -> AccessToken | None:
        """Return a cached token that is valid for at least five minutes, or None."""

    def refresh_token(
        self, cache: str, scopes: Sequence[str], force: bool = False, claims: str = ""
    ) -> AccessToken:
        """Return a token that is valid for at least five minutes, a new one if ``force``.

        :param claims: a claims challenge that the new token must satisfy.
        :raise ConnectionLostError: access was revoked or has expired; a person must sign in again.
            If it is not ``is_certain``, only if the refusal is repeated some minutes later.
        :raise ServiceRefusedError: ``wrong_client_secret``, ``wrong_registration``,
            ``needs_administrator``, or an answer that cannot be read.
        :raise ServiceBusyError: try again.
        """
