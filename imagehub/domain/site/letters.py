"""Write the messages about what needs attention, as text and as JSON."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from imagehub.clients.channels import Notice
from imagehub.config import Settings
from imagehub.domain.site.attention import KINDS, Attention
from imagehub.messages import Message, PluralMessage, mark
from imagehub.models import Enquiry
from imagehub.translator import Translator

SETTINGS_PATH = "/admin/settings#messages"


@dataclass(frozen=True)
class Story:
    """One kind of what needs attention; without ``found`` it is over."""

    kind: str
    since_at: datetime
    found: Sequence[Attention] = ()


def write_letter(
    letter_id: str,
    stories: Sequence[Story],
    settings: Settings,
    translator: Translator,
    now: datetime,
) -> Notice:
    """Write one message about all of these; those that are over come last."""
    say = translator.translate
    found = [(story, one) for story in stories for one in story.found]
    over = [story for story in stories if not story.found]
    if found:
        subject = say(
            PluralMessage(
                "%(num)s thing needs attention", "%(num)s things need attention", num=len(found)
            )
        )
    else:
        subject = say(mark("No longer a problem"))
    blocks = [
        "\n".join((say(one.title), say(one.words), settings.public_url + one.path))
        for _, one in found
    ]
    if over:
        head = say(mark("No longer a problem")) + ":"
        blocks.append("\n".join([head, *(f"- {say(KINDS[story.kind])}" for story in over)]))
    attention = [
        {
            "kind": one.kind,
            "title": say(one.title),
            "text": say(one.words),
            "url": settings.public_url + one.path,
            "is_fault": one.is_fault,
            "since": _write_time(story.since_at),
        }
        for story, one in found
    ]
    resolved = [
        {"kind": story.kind, "title": say(KINDS[story.kind]), "since": _write_time(story.since_at)}
        for story in over
    ]
    facts = {"attention": attention, "resolved": resolved}
    return _finish(letter_id, subject, blocks, facts, settings, translator, now)


def write_enquiry(
    enquiry: Enquiry, settings: Settings, translator: Translator, now: datetime
) -> Notice:
    """Write the message about an enquiry; an answer to it goes to the visitor.

    What the visitor has typed is quoted, so that it cannot pass for a sentence of the hub.
    """
    say = translator.translate
    url = f"{settings.public_url}/admin/enquiries/{enquiry.id}"
    name, work = _clean(enquiry.name), _clean(enquiry.work)
    about = Message("Enquiry about “%(title)s”", title=work) if work else mark("Enquiry")
    if enquiry.work_count:
        about = Message("Shortlist from “%(title)s”", title=work) if work else mark("Shortlist")
    head = Message("%(name)s (%(email)s) has written:", name=name, email=enquiry.email)
    lines = enquiry.message.split("\n") if enquiry.message else []
    for one in enquiry.works:
        title = _clean(one.title) or say(mark("Untitled"))
        lines += [*([""] if lines else []), f"{one.position}. {title}"]
        lines += [one.line] if one.line else []
    quoted = "\n".join(f"> {line}".rstrip() for line in lines)
    facts = {
        "number": enquiry.id,
        "received": _write_time(enquiry.created_at),
        "name": name,
        "email": enquiry.email,
        "message": enquiry.message,
        "work": work,
        "work_number": enquiry.group_id,
        "works": [
            {"number": one.group_id, "title": one.title, "line": one.line} for one in enquiry.works
        ],
        "url": url,
    }
    end = Message("Your answer goes to %(email)s.", email=enquiry.email)
    inbox = Message("In the inbox: %(url)s", url=url)
    blocks = [say(about), say(head), quoted, say(end) + "\n" + say(inbox)]
    data = {"attention": [], "resolved": [], "enquiry": facts}
    letter_id = f"enquiry-{enquiry.id}-{int(enquiry.created_at.timestamp())}"
    notice = _finish(letter_id, say(about), blocks, data, settings, translator, now)
    return replace(notice, reply_to=enquiry.email)


def write_test(letter_id: str, settings: Settings, translator: Translator, now: datetime) -> Notice:
    """Write the message of ``imagehub notify-test``."""
    say = translator.translate
    words = mark("This is a test. Messages about what needs attention will arrive in this way.")
    facts: dict[str, Any] = {"attention": [], "resolved": [], "is_test": True}
    subject = say(mark("Test message"))
    return _finish(letter_id, subject, [say(words)], facts, settings, translator, now)


def _finish(
    letter_id: str,
    subject: str,
    blocks: Sequence[str],
    facts: dict[str, Any],
    settings: Settings,
    translator: Translator,
    now: datetime,
) -> Notice:
    title = _clean(settings.title)
    about = translator.translate(
        Message(
            "%(title)s sent this. Select what messages are about: %(url)s",
            title=title,
            url=settings.public_url + SETTINGS_PATH,
        )
    )
    data = {"time": _write_time(now), "hub": settings.public_url, "title": title, "is_test": False}
    return Notice(
        id=letter_id,
        subject=f"[{title}] {_clean(subject)}",
        text="\n\n".join([*blocks, f"-- \n{about}"]) + "\n",
        data=data | facts,
    )


def _clean(text: str) -> str:
    """Return a text without control characters, such as line breaks, for a header."""
    return "".join(one for one in text if unicodedata.category(one) not in ("Cc", "Zl", "Zp"))


def _write_time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
