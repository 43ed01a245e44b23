"""What a new page starts with: headings to fill in, in the language of its author."""

from flask_babel import gettext as _

from imagehub.wiring import get_settings


def make_outline(kind: str) -> str:
    """Make the text in Markdown that a new page of a kind starts with.

    The headings of an imprint are those that section 5 of the German DDG (Digitale-Dienste-Gesetz)
    asks for, those of the privacy policy follow article 13 of the GDPR. They are no legal advice.
    """
    if kind == "about":
        return str(_("Who you are, what you work on, and where your work can be seen."))
    if kind == "cv":
        line = "- " + _("Year, title, place")
        heads = (
            *(_("Education"), _("Solo exhibitions"), _("Group exhibitions"), _("Collections")),
        )
        parts = [_("Born in … Lives and works in …"), *(_part(head, line) for head in heads)]
        return "\n\n".join(parts)
    if kind == "contact":
        return "\n\n".join((_("Name, studio, postal address"), _("E-mail address"), _("Phone")))
    if kind == "imprint":
        address = (_("First and last name"), _("Street and number"), _("Postcode and town"))
        parts = [
            _part(_("Provider"), "\n".join((*address, _("Country")))),
            _part(_("Contact"), _("E-mail address"), _("Phone or another fast way to reach you")),
            _part(
                _("VAT identification number"), _("If you have one; otherwise delete this part.")
            ),
            _part(_("Responsible for the content"), _("Name and address")),
        ]
        return "\n\n".join(parts)
    if kind == "privacy":
        # Unlike the other parts, this one needs nothing from the admin.
        words = _(
            "The server counts how often works, series and the gallery are viewed and downloaded "
            "each day. To count visitors, it computes a code from your address, the name of your "
            "browser and what you view, with a random key. The key and the code are only kept in "
            "memory, for two days at most. If your browser sends Global Privacy Control or Do Not "
            "Track, no code is computed. No cookies are set, and no addresses are stored."
        )
        counted = [_part(_("What is counted"), words)] if get_settings().numbers else []
        parts = [
            _part(_("Who is responsible"), _("Name, address and e-mail address")),
            _part(
                _("What is processed when you visit"),
                _("Which data the server and its host log, why, and for how long."),
            ),
            *counted,
            _part(_("Cookies"), _("Which cookies are set, and what for.")),
            _part(
                _("Messages that you send"),
                _("What happens to them, and when they are deleted."),
            ),
            _part(
                _("Services of others"),
                _("Who processes data on your behalf, such as your host and Microsoft OneDrive."),
            ),
            _part(
                _("Your rights"),
                _("Access, correction, erasure, restriction, objection, data portability."),
            ),
            _part(_("Complaints"), _("The supervisory authority that is responsible for you.")),
        ]
        return "\n\n".join(parts)
    return ""


def _part(head: str, *words: str) -> str:
    return "\n\n".join((f"## {head}", *words))
