"""Codes of an authenticator app, and recovery codes."""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pyotp
import pytest
from cryptography.fernet import Fernet
from sqlalchemy.orm import Session

from imagehub.domain.people import second_factor, throttle, users
from imagehub.domain.vault import SigningKeys, Vault
from imagehub.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    TooManyTriesError,
)
from imagehub.models import RecoveryCode, SecondFactor, User
from tests.fixtures.site import NAME

KEY = SigningKeys("a key that has more than thirty-two characters")
VAULT = Vault(Fernet.generate_key().decode())
NOON = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def user(either_session: Session) -> User:
    found = users.find_user(either_session, NAME)
    assert found is not None
    return found


def get_code(secret: str, moment: datetime) -> str:
    return pyotp.TOTP(secret).at(moment)


def switch_on(session: Session, user: User) -> tuple[str, list[str]]:
    """Switched on at noon; the secret and the recovery codes."""
    secret = second_factor.begin(session, VAULT, user)
    codes = second_factor.confirm(session, VAULT, user, get_code(secret, NOON), NOON)
    session.commit()
    return secret, codes


def check(session: Session, user: User, code: str, moment: datetime) -> None:
    second_factor.check(session, VAULT, KEY, user, code, moment)
    session.commit()
    second_factor.forget_attempts(session, KEY, user.id)


def refuse(session: Session, user: User, code: str, moment: datetime) -> None:
    with pytest.raises(NotAllowedError):
        second_factor.check(session, VAULT, KEY, user, code, moment)
    session.rollback()


def test_the_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B, the last six of its eight digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        moment = datetime.fromtimestamp(seconds, UTC)
        assert second_factor._find_step(secret, code, moment) == seconds // 30


def test_it_counts_once_a_code_was_seen(either_session: Session, user: User) -> None:
    assert not second_factor.is_on(either_session, user.id)
    secret = second_factor.begin(either_session, VAULT, user)
    assert not second_factor.is_on(either_session, user.id)
    assert second_factor.begin(either_session, VAULT, user) == secret, "a reload shows the same"
    wrong = f"{(int(get_code(secret, NOON)) + 1) % 1_000_000:06d}"
    with pytest.raises(InvalidInputError):
        second_factor.confirm(either_session, VAULT, user, wrong, NOON)
    codes = second_factor.confirm(either_session, VAULT, user, get_code(secret, NOON), NOON)
    assert second_factor.is_on(either_session, user.id)
    assert len(set(codes)) == second_factor.RECOVERY_CODE_COUNT
    with pytest.raises(ConflictError):
        second_factor.begin(either_session, VAULT, user)


def test_the_secret_lies_encrypted(either_session: Session, user: User) -> None:
    secret, codes = switch_on(either_session, user)
    row = either_session.get_one(SecondFactor, user.id)
    assert secret.encode() not in row.secret
    assert VAULT.open(row.secret) == secret
    assert len(set(codes)) == 10
    for code in codes:
        # 24 characters of 32 kinds: 120 bits.
        assert re.fullmatch("[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){5}", code)
    stored = {row.code_hash for row in either_session.query(RecoveryCode)}
    assert stored == {sha256(code.replace("-", "").encode()).hexdigest() for code in codes}


def test_a_code_is_good_once(either_session: Session, user: User) -> None:
    secret, _ = switch_on(either_session, user)
    refuse(either_session, user, get_code(secret, NOON), NOON)  # It switched it on.
    later = NOON + timedelta(minutes=5)
    check(either_session, user, get_code(secret, later), later)
    refuse(either_session, user, get_code(secret, later), later)


def test_an_older_code_is_refused_after_a_newer_one(either_session: Session, user: User) -> None:
    secret, _ = switch_on(either_session, user)
    later = NOON + timedelta(minutes=5)
    before = get_code(secret, later - timedelta(seconds=30))
    check(either_session, user, get_code(secret, later), later)
    refuse(either_session, user, before, later)


@pytest.mark.parametrize(
    ("seconds", "is_good"), [(-60, False), (-30, True), (30, True), (60, False)]
)
def test_a_clock_may_be_half_a_minute_off(
    either_session: Session, user: User, seconds: int, is_good: bool
) -> None:
    secret, _ = switch_on(either_session, user)
    later = NOON + timedelta(minutes=5)
    code = get_code(secret, later + timedelta(seconds=seconds))
    if is_good:
        check(either_session, user, code, later)
    else:
        refuse(either_session, user, code, later)


def test_spaces_and_hyphens_do_not_matter(either_session: Session, user: User) -> None:
    secret, codes = switch_on(either_session, user)
    later = NOON + timedelta(minutes=5)
    code = get_code(secret, later)
    check(either_session, user, f" {code[:3]} {code[3:]} ", later)
    check(either_session, user, codes[0].upper().replace("-", " "), later)


def test_a_recovery_code_is_good_once(either_session: Session, user: User) -> None:
    _, codes = switch_on(either_session, user)
    assert second_factor.count_recovery_codes(either_session, user) == len(codes)
    check(either_session, user, codes[3], NOON)
    refuse(either_session, user, codes[3], NOON)
    assert second_factor.count_recovery_codes(either_session, user) == len(codes) - 1


def test_recovery_codes_are_read_as_people_type_them(either_session: Session, user: User) -> None:
    _, codes = switch_on(either_session, user)
    for position, mistake in enumerate(
        [
            lambda code: code.upper(),
            lambda code: code.replace("-", ""),
            lambda code: code.replace("-", "\u2013"),
            lambda code: " " + " ".join(code) + "\n",
            lambda code: code.replace("0", "O").replace("1", "l"),
            lambda code: code.replace("0", "o").replace("1", "I"),
            lambda code: "".join(chr(ord(one) + 0xFEE0) for one in code),  # full width
        ]
    ):
        check(either_session, user, mistake(codes[position]), NOON)
        refuse(either_session, user, codes[position], NOON)


def test_recovery_codes_of_before_work_until_they_are_replaced(
    either_session: Session, user: User
) -> None:
    """They had 16 letters and digits, among them those that new codes lack."""
    switch_on(either_session, user)
    for code in ("oil7" * 4, "abcd" * 4):
        hashed = sha256(code.encode()).hexdigest()
        either_session.add(RecoveryCode(user_id=user.id, code_hash=hashed))
    either_session.commit()
    check(either_session, user, "OIL7-oil7-OIL7-oil7", NOON)
    refuse(either_session, user, "oil7-oil7-oil7-oil7", NOON)
    second_factor.make_recovery_codes(either_session, user)
    either_session.commit()
    refuse(either_session, user, "abcd-abcd-abcd-abcd", NOON)


def test_new_recovery_codes_end_the_old(either_session: Session, user: User) -> None:
    _, old = switch_on(either_session, user)
    new = second_factor.make_recovery_codes(either_session, user)
    either_session.commit()
    refuse(either_session, user, old[0], NOON)
    check(either_session, user, new[0], NOON)


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "１２３４５６", "\0" * 6, "a" * 16, "a" * 24]
)
def test_what_is_no_code_is_refused(either_session: Session, user: User, code: str) -> None:
    switch_on(either_session, user)
    refuse(either_session, user, code, NOON + timedelta(minutes=5))


def test_who_guesses_has_to_wait(either_session: Session, user: User) -> None:
    secret, _ = switch_on(either_session, user)
    later = NOON + timedelta(minutes=5)
    for _ in range(throttle.FREE_TRIES):
        refuse(either_session, user, "nonsense", later)
    with pytest.raises(TooManyTriesError) as caught:
        second_factor.check(either_session, VAULT, KEY, user, get_code(secret, later), later)
    assert 0 < caught.value.retry_after_seconds <= throttle.FIRST_WAIT_SECONDS


def test_the_code_of_another_persons_app_is_refused(either_session: Session, user: User) -> None:
    switch_on(either_session, user)
    other = users.create_admin(either_session, "Grace", "another good password")
    secret, codes = switch_on(either_session, other)
    later = NOON + timedelta(minutes=5)
    refuse(either_session, user, get_code(secret, later), later)
    refuse(either_session, user, codes[0], later)
    either_session.delete(other)
    either_session.commit()


def test_without_it_nothing_passes_for_a_code(either_session: Session, user: User) -> None:
    refuse(either_session, user, "000000", NOON)


def test_switching_it_off_forgets_everything(either_session: Session, user: User) -> None:
    _, codes = switch_on(either_session, user)
    assert second_factor.turn_off(either_session, user)
    either_session.commit()
    either_session.expire_all()
    assert not second_factor.is_on(either_session, user.id)
    assert second_factor.count_recovery_codes(either_session, user) == 0
    refuse(either_session, user, codes[0], NOON)
    assert not second_factor.turn_off(either_session, user)


def test_where_the_key_is_lost_recovery_codes_still_open(
    either_session: Session, user: User
) -> None:
    secret, codes = switch_on(either_session, user)
    strange = Vault(Fernet.generate_key().decode())
    later = NOON + timedelta(minutes=5)
    with pytest.raises(NotAllowedError):
        second_factor.check(either_session, strange, KEY, user, get_code(secret, later), later)
    either_session.rollback()
    second_factor.check(either_session, strange, KEY, user, codes[0], later)


def test_the_picture_holds_the_address_and_asks_nobody() -> None:
    uri = second_factor.make_uri("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "Zoë & Co", "Haus: der Bilder")
    assert uri.startswith("otpauth://totp/")
    assert "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" in uri
    svg = second_factor.draw_qr(uri, "QR code")
    assert svg.startswith("<svg")
    assert svg.rstrip().endswith("</svg>")
    assert "style=" not in svg, "the Content-Security-Policy forbids it"
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
