"""Sort the refusals of Microsoft's sign-in by who can do something about them.

Microsoft advises against deciding by AADSTS numbers, since they may change. But ``invalid_grant``
alone means anything from a passing fault to a revoked consent, and taking a fault for a revoked
consent locks a hub until a person signs in. So known numbers decide, then the ``suberror``, then
the ``error``, and what is unknown is only believed when it is repeated.

Sources: "Microsoft Entra authentication and authorization error codes"; "Handle errors and
exceptions in MSAL"; "Claims challenges, claims requests and client capabilities".
"""

import base64
import json
import logging
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from imagehub.clients.http import DEFAULT_RETRY_SECONDS
from imagehub.errors import (
    NEEDS_ADMINISTRATOR,
    SIGN_IN,
    STEP_REQUIRED,
    WRONG_CLIENT_SECRET,
    WRONG_REGISTRATION,
    ConnectionLostError,
    ImageHubError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.messages import Message, mark

log = logging.getLogger(__name__)


class Remedy(Enum):
    """Who can do something about a refusal, and what."""

    RETRY = "try again later"
    SIGN_IN = "the owner must sign in again"
    ADMINISTRATOR = "the administrator of the organisation must act"
    REGISTRATION = "the app registration or its settings are wrong"
    UNKNOWN = "the owner must sign in again, if the refusal is repeated"


# Too many identical requests. Microsoft blocks the client for some minutes.
LOOP_DETECTED = 50196
LOOP_SECONDS = 300.0

# Every published number, also those of flows that ImageHub does not use, except 165004, whose
# meaning differs from case to case.
NUMBERS: Mapping[Remedy, frozenset[int]] = {
    Remedy.RETRY: frozenset({
        40010, 50000, 50033, 50053, 50087, 50088, 50089, 50166, LOOP_DETECTED, 51005, 70012, 70016,
        80001, 80002, 80005, 80007, 80012, 80014, 90006, 90012, 90024, 90033, 90036, 90055, 90090,
        90091, 90092, 120013, 120021, 220501, 230109, 501621,
    }),
    Remedy.SIGN_IN: frozenset({
        16001, 16002, 40009, 40015, 50015, 50055, 50056, 50058, 50061, 50064, 50068, 50070, 50071,
        50072, 50074, 50076, 50078, 50079, 50085, 50086, 50125, 50126, 50132, 50133, 50135, 50136,
        50139, 50140, 50143, 50144, 50158, 50161, 50168, 50173, 50192, 50197, 50199, 51006, 52004,
        53004, 54005, 65001, 65004, 70000, 70008, 70018, 70019, 70043, 81004, 81006, 81009, 81010,
        81011, 81012, 90007, 90013, 90086, 90119, 90120, 120000, 120002, 120003, 120004, 120005,
        120008, 120011, 120016, 120018, 120020, 130004, 130005, 130006, 130008, 135010, 140000,
        140001, 160021, 500121, 501481, 700005, 700020, 700082, 700084, 1000000, 1000002,
        9002341,
    }),
    Remedy.ADMINISTRATOR: frozenset({
        16000, 16003, 17003, 20001, 20012, 20033, 40008, 50002, 50005, 50007, 50008, 50014, 50017,
        50020, 50029, 50034, 50042, 50043, 50057, 50097, 50105, 50107, 50120, 50124, 50127, 50129,
        50131, 50155, 50169, 50170, 50177, 50178, 50180, 50187, 51000, 51004, 53000, 53001, 53002,
        53003, 53010, 53011, 54000, 67003, 80010, 80013, 81005, 81007, 90072, 90081, 90082, 90084,
        90085, 90087, 90093, 90094, 90095, 90099, 90123, 90125, 90126, 120012, 120014, 120015,
        130007, 135011, 240001, 500021, 500022, 500208, 500212, 500213, 501241, 530032, 530034,
        530035, 650052, 1000031, 1000104, 5000819, 7000112,
    }),
    Remedy.REGISTRATION: frozenset({
        28002, 28003, 50001, 50003, 50006, 50010, 50011, 50012, 50013, 50027, 50032, 50048, 50049,
        50050, 50059, 50099, 50128, 50134, 50146, 50147, 50194, 51001, 65002, 65005, 70001, 70002,
        70003, 70004, 70005, 70007, 70011, 75001, 75003, 75005, 75008, 75011, 75016, 76021, 76026,
        90002, 90004, 90005, 90008, 90009, 90010, 90014, 90015, 90016, 90019, 90020, 90022, 90023,
        90027, 90038, 90043, 90051, 90056, 90100, 90101, 90102, 90107, 90114, 90117, 90121, 90124,
        90130, 100007, 165900, 220450, 221000, 240002, 500011, 500112, 500113, 500133, 501461,
        501491, 650054, 650056, 650057, 700011, 700016, 700022, 700023, 700025, 700027, 700030,
        700054, 700229, 750054, 900144, 900236, 900382, 900384, 900432, 900561, 900971, 901002,
        7000114, 7000215, 7000218, 7000222, 7500514, 7500529, 9001023, 9002313, 9002332,
    }),
}  # fmt: skip
_REMEDIES = {number: remedy for remedy, numbers in NUMBERS.items() for number in numbers}
# Source: "Handle errors and exceptions in MSAL", the classification of suberrors.
_SUBERRORS = {
    "basic_action": Remedy.SIGN_IN,
    "additional_action": Remedy.SIGN_IN,
    "user_password_expired": Remedy.SIGN_IN,
    "consent_required": Remedy.SIGN_IN,
    "bad_token": Remedy.SIGN_IN,
    "token_expired": Remedy.SIGN_IN,
    "message_only": Remedy.ADMINISTRATOR,
    "protection_policy_required": Remedy.ADMINISTRATOR,
    "client_mismatch": Remedy.REGISTRATION,
}
_ERRORS = {
    "temporarily_unavailable": Remedy.RETRY,
    "server_error": Remedy.RETRY,
    "consent_required": Remedy.SIGN_IN,
    "interaction_required": Remedy.SIGN_IN,
    "login_required": Remedy.SIGN_IN,
    "invalid_client": Remedy.REGISTRATION,
    "unauthorized_client": Remedy.REGISTRATION,
    "invalid_scope": Remedy.REGISTRATION,
    "invalid_resource": Remedy.REGISTRATION,
    "invalid_request": Remedy.REGISTRATION,
    "unsupported_grant_type": Remedy.REGISTRATION,
}
_WRONG_CLIENT = frozenset({"invalid_client", "unauthorized_client"})
_MAX_CLAIMS_CHARS = 8000

_WRONG_SECRET = mark(
    "Microsoft does not accept the client ID or client secret. The secret may have expired: create "
    "a new one in the app registration and enter it in the settings."
)
_EXPIRED = mark(
    "The connection has expired because it was not used for 90 days. OneDrive must be reconnected."
)
_REVOKED = mark("Access was revoked, or the password was changed. OneDrive must be reconnected.")
_SECOND_FACTOR = mark("Microsoft requires two-factor authentication. OneDrive must be reconnected.")
_DEVICE = mark(
    "The organisation requires a managed device or an approved app. Its administrator must exempt "
    "ImageHub in the access policy."
)
_BLOCKED = mark(
    "The organisation’s access policy blocks ImageHub. Its administrator must allow the sign-in."
)
_ACCOUNT = mark(
    "The organisation does not allow this account, or has disabled it. Ask its administrator."
)
_CONSENT = mark(
    "The organisation’s administrator must consent to ImageHub before its accounts can use it."
)
_REDIRECT = mark(
    "The redirect address of ImageHub is not the one in the app registration. Add the address that "
    "the connection page shows."
)
_TENANT = mark(
    "The app registration is not meant for this kind of account or for this tenant. Change the "
    "supported account types in the app registration, or IMAGEHUB_MS_TENANT."
)
_PERMISSIONS = mark(
    "The app registration lacks a permission that ImageHub asks for. Add Files.ReadWrite and "
    "User.Read of Microsoft Graph, as delegated permissions."
)
# AADSTS number → sentence.
_SENTENCES = {
    70008: _EXPIRED,
    700082: _EXPIRED,
    700084: mark("The connection has reached its maximum lifetime. OneDrive must be reconnected."),
    70043: mark(
        "The organisation requires a new sign-in from time to time. OneDrive must be reconnected."
    ),
    50173: _REVOKED,
    70000: _REVOKED,
    65001: mark("ImageHub no longer has consent to access this OneDrive. Reconnect it."),
    65004: mark("Consent to access this OneDrive was declined. Reconnect it."),
    **dict.fromkeys((50072, 50074, 50076, 50078, 50079, 500121, 53004), _SECOND_FACTOR),
    **dict.fromkeys((50005, 50097, 50127, 50129, 50155, 50187, 53000, 53001, 53002), _DEVICE),
    **dict.fromkeys(
        (50002, 50131, 53003, 53010, 53011, 500021, 500022, 500212, 500213, 530032, 530035),
        _BLOCKED,
    ),
    **dict.fromkeys((16000, 16003, 50014, 50020, 50034, 50057, 50105, 51004, 500208), _ACCOUNT),
    **dict.fromkeys((90093, 90094, 90095, 90099, 650052), _CONSENT),
    **dict.fromkeys((50011, 70004, 500112, 500113, 900971), _REDIRECT),
    **dict.fromkeys((50059, 50128, 50194, 90002, 90019, 90124, 90130, 9001023, 9002332), _TENANT),
    **dict.fromkeys((28002, 28003, 65005, 70011, 650056, 650057, 700022, 700023), _PERMISSIONS),
}
_RECONNECT = mark("OneDrive must be reconnected.")


def read_numbers(answer: Mapping[str, Any]) -> list[int]:
    """Return the AADSTS numbers of a refusal, the most important first."""
    codes = answer.get("error_codes")
    numbers = [int(n) for n in codes if str(n).isdecimal()] if isinstance(codes, list) else []
    described = str(answer.get("error_description") or "")
    return numbers or [int(n) for n in re.findall(r"AADSTS(\d{1,9})", described)]


def find_remedy(answer: Mapping[str, Any]) -> Remedy:
    """Sort a refusal.

    :param answer: the JSON object of the token endpoint, or the query of a redirect.
    """
    for number in read_numbers(answer):
        if number in _REMEDIES:
            return _REMEDIES[number]
    suberror, error = str(answer.get("suberror") or ""), str(answer.get("error") or "")
    found = _SUBERRORS.get(suberror) or _ERRORS.get(error)
    # Microsoft sends claims if a sign-in that satisfies them is accepted.
    return found or (Remedy.SIGN_IN if read_claims(answer.get("claims")) else Remedy.UNKNOWN)


def read_claims(text: object) -> str:
    """Return a claims challenge as it was sent; "" if it is missing or is not a JSON object."""
    if not isinstance(text, str) or len(text) > _MAX_CLAIMS_CHARS:
        return ""
    try:
        return text if isinstance(json.loads(text), dict) else ""
    except (ValueError, RecursionError):
        return ""


def read_challenge(header: str) -> str:
    """Return the claims of a WWW-Authenticate header, "" if it is not a claims challenge.

    Source: "Claims challenges, claims requests and client capabilities": the claims are base64 of
    a JSON object. Without ``error="insufficient_claims"`` they do not count.
    """
    found = {
        name.lower(): value for name, value in re.findall(r'([A-Za-z_]+)\s*=\s*"([^"]*)"', header)
    }
    if found.get("error", "").lower() != "insufficient_claims":
        return ""
    text = found.get("claims", "").strip().replace("-", "+").replace("_", "/")
    try:
        return read_claims(base64.b64decode(text + "=" * (-len(text) % 4)).decode())
    except ValueError:
        return ""


def make_refusal(
    answer: Mapping[str, Any],
    operation: str,
    account: str = "",
    retry_after_seconds: float | None = None,
) -> ImageHubError:
    """Return the error for a refusal.

    :param account: the name of the account that wanted a token.
    :param retry_after_seconds: the wait that a throttled answer names; None: it is not throttled.
    """
    remedy, numbers = find_remedy(answer), read_numbers(answer)
    code, claims = make_word(answer.get("error")), read_claims(answer.get("claims"))
    if retry_after_seconds is not None or remedy is Remedy.RETRY:
        seconds = DEFAULT_RETRY_SECONDS if retry_after_seconds is None else retry_after_seconds
        if LOOP_DETECTED in numbers:
            seconds = max(seconds, LOOP_SECONDS)
        return ServiceBusyError(SIGN_IN, operation, retry_after_seconds=seconds)
    sentence = next((_SENTENCES[number] for number in numbers if number in _SENTENCES), "")
    number = numbers[0] if numbers else 0
    if remedy is Remedy.ADMINISTRATOR:
        sentence = sentence or _name_number(
            mark("The organisation of this account refuses access. Ask its administrator."),
            mark(
                "The organisation of this account refuses access (AADSTS%(number)s). Ask its "
                "administrator."
            ),
            number,
        )
        return ServiceRefusedError(SIGN_IN, operation, NEEDS_ADMINISTRATOR, sentence, claims)
    if remedy is Remedy.REGISTRATION and code in _WRONG_CLIENT and not sentence:
        return ServiceRefusedError(SIGN_IN, operation, WRONG_CLIENT_SECRET, _WRONG_SECRET)
    if remedy is Remedy.REGISTRATION:
        sentence = sentence or _name_number(
            mark("Microsoft says that the app registration or its settings are wrong."),
            mark(
                "Microsoft says that the app registration or its settings are wrong "
                "(AADSTS%(number)s)."
            ),
            number,
        )
        return ServiceRefusedError(SIGN_IN, operation, WRONG_REGISTRATION, sentence)
    if remedy is Remedy.UNKNOWN and code != "invalid_grant" and not numbers:
        return ServiceRefusedError(SIGN_IN, operation, code)
    sentence = sentence or (STEP_REQUIRED if claims else _RECONNECT)
    return ConnectionLostError(
        sentence, account, code, claims=claims, is_certain=remedy is Remedy.SIGN_IN
    )


def _name_number(words: str, words_with_number: str, number: int) -> str:
    """Name the number, which an administrator can look up, if there is one."""
    return Message(words_with_number, number=number) if number else words


def make_word(code: object) -> str:
    """Make Microsoft's error code safe to show: redirects may contain any text."""
    return re.sub(r"[^a-z0-9_]", "", str(code or "").lower())[:60] or "bad_answer"


def log_refusal(operation: str, answer: Mapping[str, Any]) -> None:
    """Log what Microsoft's support asks for."""
    log.warning(
        "Microsoft refused to %s: error=%s suberror=%s claims=%s numbers=%s trace_id=%s "
        "correlation_id=%s",
        operation,
        make_word(answer.get("error")),
        make_word(answer.get("suberror") or "none"),
        "yes" if read_claims(answer.get("claims")) else "no",
        read_numbers(answer),
        _make_id(answer.get("trace_id")),
        _make_id(answer.get("correlation_id")),
    )


def _make_id(value: object) -> str:
    return re.sub(r"[^0-9A-Za-z-]", "", str(value or ""))[:64] or "-"
