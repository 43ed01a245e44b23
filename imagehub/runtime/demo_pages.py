"""Pages and menus of the demo: what its artist may have written."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.domain.site import pages
from imagehub.models import Group, Page

# Kind · title · text. `{hub}` becomes the title of the hub, `{picture:Title}` the first image of
# the work with that title.
_WRITTEN = (
    (
        "about", "About",
        "I draw with light that is about to go: the last hour of an afternoon, the lamp in the "
        "next room, the glow that stays on a wall after the door has closed.\n\n"
        "{picture:Ember, late}\n\n"
        "## How the works are made\n\n"
        "Most begin as a *photograph without a subject*. I print it small, paint over it, "
        "photograph it again, and go on until what was there is no longer needed. A work takes "
        "between a week and two years.\n\n"
        "> A picture is finished when it looks back.\n\n"
        "## Studio\n\n"
        "Lange Reihe 12, in the yard, third floor. Visits are welcome [by appointment](/contact).",
    ),
    (
        "cv", "CV",
        "Born 1984 in Flensburg. Lives and works in Hamburg.\n\n"
        "## Education\n\n"
        "- 2005–2011 Muthesius University of Fine Arts, Kiel\n"
        "- 2009 Guest semester, Bergen\n\n"
        "## Solo exhibitions\n\n"
        "- 2025 *Quarter turns*, Galerie am Hafen, Hamburg\n"
        "- 2023 *What the lamp saw*, Kunstverein Husum\n"
        "- 2020 *Slow rooms*, Atelierhaus Kiel\n\n"
        "## Collections\n\n"
        "| Collection | Place | Since |\n|---|---|---|\n"
        "| Museumsberg | Flensburg | 2024 |\n| Sammlung Nord | Kiel | 2021 |",
    ),
    (
        "contact", "Contact",
        "{hub}\nLange Reihe 12\n20099 Hamburg\nGermany\n\n"
        "studio@example.org\n\nOpen studio on the first Saturday of each month, 2 to 6 pm.",
    ),
    (
        "imprint", "Imprint",
        "## Provider\n\n{hub}\nLange Reihe 12\n20099 Hamburg\nGermany\n\n"
        "## Contact\n\nstudio@example.org\nPhone +49 40 0000000\n\n"
        "## Responsible for the content\n\n{hub}, address as above\n\n---\n\n"
        "*This imprint belongs to the demo. The address is invented.*",
    ),
    (
        "privacy", "Privacy",
        "## Who is responsible\n\n{hub}, Lange Reihe 12, 20099 Hamburg\n\n"
        "## What is processed when you visit\n\nThe server sends you pages and images. It keeps "
        "no addresses of visitors.\n\n"
        "## What is counted\n\nThe server counts how often works, series and the gallery are "
        "viewed and downloaded each day. To count visitors, it computes a code from your address, "
        "the name of your browser and what you view, with a random key. The key and the code are "
        "only kept in memory, for two days at most. If your browser sends *Global Privacy Control* "
        "or *Do Not Track*, no code is computed.\n\n"
        "## Cookies\n\nTwo cookies remember theme and language, if you choose them.\n\n"
        "## Messages that you send\n\nThey are read by the studio alone, and deleted after twelve "
        "months.\n\n## Your rights\n\nYou may ask for access, correction and erasure at any time."
        "\n\n---\n\n*This text belongs to the demo and is no template.*",
    ),
)  # fmt: skip


def add_pages(session: Session, hub_title: str) -> None:
    """Add and publish the demo's pages, once. Flushed, not committed."""
    if session.scalar(select(Page.id).limit(1)) is not None:
        return
    for kind, title, text in _WRITTEN:
        page = pages.create_page(session, kind, title, _fill_in(session, text, hub_title))
        pages.set_state(session, page.id, pages.PUBLISHED)


def _fill_in(session: Session, text: str, hub_title: str) -> str:
    text = text.replace("{hub}", hub_title)
    before, found, rest = text.partition("{picture:")
    if not found:
        return text
    title, _, after = rest.partition("}")
    work = select(Group.cover_id).where(Group.title == title, Group.cover_id.is_not(None))
    cover = session.scalar(work.limit(1))
    picture = f"![{title}](image:{cover})" if cover else ""
    return f"{before}{picture}{after}"
