"""What a check of ``imagehub doctor`` has found."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "fault"]


# The fields of a finding without its name.
Facts = tuple[State, str] | tuple[State, str, str]


@dataclass(frozen=True)
class Finding:
    """One result of a check. ``advice`` says what to do; "" if there is nothing to do."""

    name: str
    state: State
    sentence: str
    advice: str = ""
