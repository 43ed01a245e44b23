"""Passwords: rules for new ones, and the scrypt hashes that are stored in their place.

A hash takes 128 MiB for about half a second on purpose. Each process therefore makes one at a time
and lets a few threads wait; beyond that, requests are refused instead of stopping all threads.
"""

import gzip
import os
import re
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from werkzeug.security import check_password_hash, generate_password_hash

from imagehub.domain.people import former_hashes
from imagehub.errors import BusyError, InvalidInputError
from imagehub.messages import Message, mark

MIN_PASSWORD_CHARS = 8
# At most four times as many bytes.
MAX_PASSWORD_CHARS = 1024

# Source: OWASP Password Storage Cheat Sheet (N=2^17, r=8, p=1). Tests set the variable to a lower
# number, because nearly all of them sign in.
DEFAULT_SCRYPT_N = 1 << 17
SCRYPT_N = int(os.environ.get("IMAGEHUB_TEST_SCRYPT_N", DEFAULT_SCRYPT_N))
_R, _P = 8, 1
# Of each process, besides the one whose hash is made.
MAX_WAITING_THREADS = 3

_COMMON = Path(__file__).parent / "common_passwords" / "list.txt.gz"
# What people write in place of letters, one character each.
_LOOKALIKES = tuple(str.maketrans("013457@$!|", f"o{one}eastas{one}{one}") for one in "il")
# A name with up to this many digits added is still too easy to guess.
_MAX_ADDED_CHARS = 8
# Without vowels that make words, and without letters that are mistaken for digits: Crockford's
# base 32.
_EASY_CHARS = "0123456789abcdefghjkmnpqrstvwxyz"

_places = threading.BoundedSemaphore(1 + MAX_WAITING_THREADS)
_turn = threading.Lock()


# --- Rules for new passwords ----------------------------------------------------------------------


def fold(text: str) -> str:
    """Fold case and Unicode's compatibility forms, so that two spellings of a text are equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def check_new_password(password: str, name: str, title: str) -> None:
    """Check a password that is to be set for an account.

    :param name: of the account.
    :param title: of the site.
    :raise InvalidInputError: ``fields`` says under ``password`` which rule it breaks.

    Source: NIST SP 800-63B, 5.1.1.2: a minimum length, a list of common passwords and words of the
    context, and no rules about kinds of characters.
    """
    refuse_bad_length(password)
    folded, fault = fold(password), ""
    if folded in _load_common_passwords():
        fault = mark("This password is one of the most common ones. Choose another one.")
    elif _is_decorated(folded, _list_words(name, 3)):
        fault = mark("This password is little more than the account’s name. Choose another one.")
    elif _is_decorated(folded, _list_words(title, 4) | {"imagehub"}):
        fault = mark(
            "This password is little more than the title of this site or “ImageHub”. Choose "
            "another one."
        )
    if fault:
        raise InvalidInputError(fault, {"password": fault})


def refuse_bad_length(password: str, max_chars: int = MAX_PASSWORD_CHARS) -> None:
    """Refuse a new password that is too short, too long, or cannot be encoded.

    :raise InvalidInputError: ``fields`` says under ``password`` what is wrong.
    """
    fault = ""
    if len(password) < MIN_PASSWORD_CHARS:
        fault = Message("A password must have at least %(num)s characters.", num=MIN_PASSWORD_CHARS)
    elif len(password) > max_chars:
        fault = Message("A password can have at most %(num)s characters.", num=max_chars)
    elif any(unicodedata.category(char) == "Cs" for char in password):
        fault = mark("The password contains a character that cannot be stored.")
    if fault:
        raise InvalidInputError(fault, {"password": fault})


@cache
def _load_common_passwords() -> frozenset[str]:
    """Load the list; ``LICENSE.txt`` beside it names its sources."""
    return frozenset(gzip.decompress(_COMMON.read_bytes()).decode().splitlines())


def _list_words(text: str, min_chars: int) -> set[str]:
    """List a name without its spaces, and its longer words: "adalovelace", "ada", "lovelace"."""
    words = re.findall(r"[^\W_]+", fold(text))
    return {word for word in words if len(word) >= min_chars} | {"".join(words)} - {""}


def _is_decorated(password: str, words: set[str]) -> bool:
    """Tell whether a password is made of these words, with no more than a few digits added.

    They may be written backwards, with digits in place of letters, and with any signs.
    """
    if not words:
        return False
    forms = sorted(words | {word[::-1] for word in words}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, forms)))
    for table in ({}, *_LOOKALIKES):
        # Position by position, the characters as typed and as read.
        pairs = [(char, char.translate(table)) for char in password]
        pairs = [(typed, read) for typed, read in pairs if read.isalnum()]
        found = list(pattern.finditer("".join(read for _, read in pairs)))
        covered = {at for match in found for at in range(*match.span())}
        rest = [typed for at, (typed, _) in enumerate(pairs) if at not in covered]
        room = _MAX_ADDED_CHARS if any(len(match[0]) > 2 for match in found) else 0
        if found and len(rest) <= room and not any(char.isalpha() for char in rest):
            return True
    return False


def make_easy_secret(groups: int) -> str:
    """Make a random text that people can read and type: groups of four characters, 20 bits each."""
    return "-".join("".join(secrets.choice(_EASY_CHARS) for _ in range(4)) for _ in range(groups))


# --- Hashes ---------------------------------------------------------------------------------------


def make_hash(password: str) -> str:
    """Hash a password. Takes 128 MiB and about half a second.

    :raise BusyError: too many threads wait for hashes already.
    """
    with _take_turn():
        return generate_password_hash(password, f"scrypt:{SCRYPT_N}:{_R}:{_P}")


def is_right(stored: str, password: str) -> bool:
    """Check a password against a hash; "" is the hash of nobody, which no password matches.

    The cost is that of a new hash in any case: it tells neither that a name is unknown nor that
    its hash is an older one. The caller should hold no database connection.

    :raise BusyError: nothing was checked: too many threads wait for hashes already.
    """
    checked = password[:MAX_PASSWORD_CHARS].encode("utf-8", "replace").decode()
    with _take_turn():
        if not stored:
            generate_password_hash(checked, f"scrypt:{SCRYPT_N}:{_R}:{_P}")
            return False
        if _matches(stored, checked) and checked == password:
            return True
        # An older, cheaper hash: make up for the difference.
        n, missing = _find_missing_cost(stored)
        if missing > 0:
            generate_password_hash(checked, f"scrypt:{n}:{_R}:{missing}")
        return False


def _matches(stored: str, password: str) -> bool:
    if former_hashes.find_rounds(stored) is not None:
        return former_hashes.is_right(stored, password)
    return check_password_hash(stored, password)


def is_outdated(stored: str) -> bool:
    """Tell whether a hash has other parameters than new ones, and should be made again."""
    return not stored.startswith(f"scrypt:{SCRYPT_N}:{_R}:{_P}$")


def _find_missing_cost(stored: str) -> tuple[int, int]:
    """Return N and how many times it must be computed to reach the cost of a new hash."""
    rounds = former_hashes.find_rounds(stored)
    if rounds is not None:
        # bcrypt of 2^12 rounds takes about half as long as a new hash.
        eighths = 8 - min(8, round(4 * 2.0 ** (rounds - 12)))
        return max(2, SCRYPT_N // 8), eighths
    found = re.match(r"scrypt:(\d+):(\d+):(\d+)\$", stored)
    if found is None:
        return SCRYPT_N, 1
    n, r, p = map(int, found.groups())
    return n, SCRYPT_N * _R * _P // (n * _R) - r * p // _R


@contextmanager
def _take_turn() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise BusyError()
    try:
        with _turn:
            yield
    finally:
        _places.release()
