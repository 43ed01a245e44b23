"""Rules for new passwords, and their hashes."""

import gzip
import hashlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from imagehub.domain.people import passwords
from imagehub.errors import BusyError, InvalidInputError
from tests.fixtures.programs import make_environment

TITLE = "Atelier Nordlicht"
COMMON = "This password is one of the most common ones. Choose another one."
NAME = "This password is little more than the account’s name. Choose another one."
SITE = "This password is little more than the title of this site or “ImageHub”. Choose another one."


def find_fault(password: str, name: str = "Ada Lovelace", title: str = TITLE) -> str:
    """The sentence that refuses a password; "" for one that can be set."""
    try:
        passwords.check_new_password(password, name, title)
    except InvalidInputError as error:
        assert error.fields == {"password": error.sentence}
        return str(error)
    return ""


# --- Rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "password1", "PASSWORD1", "iloveyou", "qwertyuiop", "123456789", "1q2w3e4r5t",
        "Password123", "ｐａｓｓｗｏｒｄ",  # full width
        "\N{LATIN SMALL LETTER LONG S}unshine", "TRUSTNO1", "letmein1", "12345678", "baseball",
    ],
)  # fmt: skip
def test_common_passwords_are_refused_whatever_their_case(password: str) -> None:
    assert find_fault(password) == COMMON


def test_the_list_holds_common_passwords_that_are_long_enough() -> None:
    words = gzip.decompress(passwords._COMMON.read_bytes()).decode().splitlines()
    assert len(words) > 16_000
    assert words == sorted(set(words))
    assert all(len(word) >= passwords.MIN_PASSWORD_CHARS for word in words)
    assert all(word == passwords.fold(word) for word in words), "else it would match nothing"


def test_the_list_names_its_sources_and_licences() -> None:
    text = passwords._COMMON.with_name("LICENSE.txt").read_text()
    for words in ("Royce Williams", "Django Software Foundation", "zxcvbn", "MIT License"):
        assert words in text


@pytest.mark.parametrize(
    "password",
    [
        "adalovelace", "Ada Lovelace", "Lovelace, Ada!", "ada-lovelace!", "Lovelace1815",
        "1815lovelace", "ecalevol1",
        "L0v3lac3!", "@dal0velace", "ada12345", "AdaAdaAda", "lovelace_lovelace",
        "ａｄａlovelace",
    ],
)  # fmt: skip
def test_the_name_with_little_added_is_refused(password: str) -> None:
    assert find_fault(password) == NAME


@pytest.mark.parametrize(
    "password",
    ["ateliernordlicht", "Nordlicht2026", "Atelier!!", "n0rdlicht", "imagehub", "ImageHub2026!"],
)
def test_the_title_of_the_site_with_little_added_is_refused(password: str) -> None:
    assert find_fault(password) == SITE


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery", "ada paints clouds", "nordlicht und regen", "xK7#mP2$vL9q",
        "lovelace 4 clouds", "zwölf Boxkämpfer", "adagiovivace", "        x", "ada194837261048",
        "🌊🌊🌊🌊🌊🌊🌊🌊", "пароль из слов", "tuvwzyxq",
    ],
)  # fmt: skip
def test_other_passwords_can_be_set_whatever_their_characters(password: str) -> None:
    assert find_fault(password) == ""


def test_a_short_name_or_an_odd_one_refuses_little() -> None:
    assert find_fault("totally fine", name="Al") == ""
    assert find_fault("AlAlAlAl", name="Al") == NAME
    assert find_fault("correct horse", name="!!!", title="") == ""
    assert find_fault("ada in a museum", name="ada@example.org") == ""
    assert find_fault("adaexampleorg1", name="ada@example.org") == NAME


def test_the_length_is_bounded_in_characters_and_bytes() -> None:
    assert find_fault("x7 kdyq") == "A password must have at least 8 characters."
    assert find_fault("🌊" * 1024) == ""
    assert find_fault("🌊" * 1025) == "A password can have at most 1024 characters."
    assert find_fault("a good one \ud800") == (
        "The password contains a character that cannot be stored."
    )


# --- Hashes ---------------------------------------------------------------------------------------


def test_outside_of_tests_a_hash_has_the_cost_that_owasp_recommends() -> None:
    environment = make_environment()
    del environment["IMAGEHUB_TEST_SCRYPT_N"]
    code = "from imagehub.domain.people import passwords as p; print(p.make_hash('four words'))"
    made = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout.strip()
    assert made.startswith("scrypt:131072:8:1$")
    assert passwords.is_right(made, "four words")
    assert not passwords.is_right(made, "four wordz")


def test_hashes_are_made_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compute, running, most = hashlib.scrypt, threading.Semaphore(1), [0]

    def note(password: bytes, **options: Any) -> bytes:
        most[0] += not running.acquire(blocking=False)
        try:
            return compute(password, **options | {"n": 4096, "maxmem": 1 << 26})
        finally:
            running.release()

    monkeypatch.setattr(hashlib, "scrypt", note)
    count = 1 + passwords.MAX_WAITING_THREADS
    with ThreadPoolExecutor(count) as pool:
        made = list(pool.map(passwords.make_hash, ["four words"] * count))
    assert len(set(made)) == count
    assert most == [0]


def test_beyond_a_few_that_wait_nothing_is_checked(all_places_taken: None) -> None:
    for work in (
        lambda: passwords.make_hash("four words"),
        lambda: passwords.is_right("", "four words"),
    ):
        with pytest.raises(BusyError) as caught:
            work()
        assert str(caught.value) == (
            "Many passwords are being checked. Try again in a few seconds."
        )


def test_what_cannot_be_encoded_is_wrong() -> None:
    made = passwords.make_hash("four words?")
    assert passwords.is_right(made, "four words?")
    assert not passwords.is_right(made, "four words\ud800")
    assert not passwords.is_right("", "four words\ud800")
