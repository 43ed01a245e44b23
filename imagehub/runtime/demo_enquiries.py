"""Enquiries for the demo: what visitors may have written about its works."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.database import now_utc
from imagehub.domain.enquiries import spam
from imagehub.domain.sharing import links
from imagehub.domain.site.settings import choose_enquiries
from imagehub.models import Enquiry, EnquiryWork, Group

# Title of the work or "" · name · address · message · language · hours ago · state · note.
_WRITTEN = (
    (
        "Ember, late", "Mara Lindqvist", "mara.lindqvist@example.org",
        "Hello,\n\nI have come back to “Ember, late” three evenings in a row. Is it still "
        "available, and could I see it in daylight before I decide? I am in town from the 14th to "
        "the 16th.\n\nWarm regards\nMara",
        "en", 3, "new", "",
    ),
    (
        "Quarter turns", "Jonas Weber", "j.weber@example.com",
        "Guten Tag,\n\nverschicken Sie den Druck auch gerahmt? Und wie lange dauert der Versand "
        "nach Wien?\n\nVielen Dank\nJonas Weber",
        "de", 20, "new", "",
    ),
    (
        "", "Galerie am Hafen", "post@galerie-am-hafen.example",
        "Liebes Atelier,\n\nwir planen für den Herbst eine Ausstellung mit Papierarbeiten und "
        "würden Sie gern in Ihrem Atelier besuchen. Passt Ihnen ein Termin im Mai?",
        "de", 74, "answered", "Visit agreed for 12 May, 11 am. Send a price list before.",
    ),
    (
        "", "SEO Team", "offer@rank-first.example",
        "We make your site first! https://a.example https://b.example https://c.example",
        "en", 120, "spam", "",
    ),
)  # fmt: skip


_LIST_TITLE = "Works on paper, autumn"
_LIST_NOTES = (
    "For the first room, beside the window.",
    "Could it be shown unframed?",
    "",
)


def _add_list(session: Session) -> None:
    """Add a share link, and a list that a visitor of it has sent."""
    groups = session.scalars(
        select(Group).where(Group.state == "published").order_by(Group.id).limit(6)
    ).all()
    if len(groups) < len(_LIST_NOTES):
        return
    share, _token = links.create_share(
        session, None, [one.id for one in groups], _LIST_TITLE, takes_lists=True
    )
    at = now_utc() - timedelta(hours=1)
    session.add(
        Enquiry(
            state="new",
            work=_LIST_TITLE,
            name="Ines Okafor, Kunsthalle",
            email="ines.okafor@example.org",
            message="These three first. The rest when I have seen the rooms again.",
            text_hash=spam.hash_text(f"demo {share.id}"),
            share_id=share.id,
            work_count=len(_LIST_NOTES),
            works=[
                EnquiryWork(position=place, group_id=one.id, title=one.title, line=note)
                for place, (one, note) in enumerate(zip(groups, _LIST_NOTES, strict=False), start=1)
            ],
            created_at=at,
            changed_at=at,
        )
    )


def add_enquiries(session: Session, settings: Settings) -> None:
    """Turn enquiries on and add those of the demo, once. Flushed, not committed."""
    if session.scalar(select(Enquiry.id).limit(1)) is not None:
        return
    choose_enquiries(session, settings, is_on=True)
    now = now_utc()
    for work, name, email, message, language, hours, state, note in reversed(_WRITTEN):
        title = select(Group.id).where(Group.title == work).limit(1)
        at = now - timedelta(hours=hours)
        session.add(
            Enquiry(
                state=state,
                spam_reason="links" if state == "spam" else "",
                group_id=session.scalar(title) if work else None,
                work=work,
                name=name,
                email=email,
                message=message,
                text_hash=spam.hash_text(message),
                language=language,
                note=note,
                created_at=at,
                changed_at=at,
            )
        )
    _add_list(session)
    session.flush()
