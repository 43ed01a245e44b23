"""Sentences that can still be translated after they were written."""

import pickle

from imagehub.messages import Message, PluralMessage


def test_a_message_is_the_english_sentence() -> None:
    message = Message("“%(name)s” is taken by %(count)s groups.", name="50 % grey", count=2)
    assert message == "“50 % grey” is taken by 2 groups."
    assert (message.template, message.values["count"]) == (
        "“%(name)s” is taken by %(count)s groups.",
        2,
    )


def test_a_plural_message_follows_its_count() -> None:
    def count(num: int) -> str:
        return PluralMessage("%(num)s file of %(of)s", "%(num)s files of %(of)s", num=num, of=9)

    assert [count(n) for n in (0, 1, 12_000)] == [
        "0 files of 9",
        "1 file of 9",
        "12,000 files of 9",
    ]


def test_messages_travel_between_processes() -> None:
    for message in (
        Message("A %(b)s", b="c"),
        PluralMessage("%(num)s file", "%(num)s files", num=3),
    ):
        copy = pickle.loads(pickle.dumps(message))
        assert (copy, copy.template, copy.values) == (message, message.template, message.values)
