"""The shortlists that visitors of share links have sent, and what can be made of them."""

from collections.abc import Sequence

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import act, blueprint
from imagehub.admin.library_group import make_thumbnail_url
from imagehub.admin.share_pages import name_share, show_address
from imagehub.admin.words import return_refused, say
from imagehub.database import db
from imagehub.domain.enquiries import inbox
from imagehub.domain.library.gallery import load_tiles
from imagehub.domain.library.series import name_series
from imagehub.domain.sharing import links, shortlists
from imagehub.errors import ImageHubError
from imagehub.models import Enquiry
from imagehub.web import commit_action
from imagehub.web.forms import Form, OptionalId, read_query


class _ListsQuery(Form):
    before: OptionalId("page") = None  # type: ignore[valid-type]


@blueprint.app_template_global("list_thumbnails")
def list_thumbnails(enquiries: Sequence[Enquiry]) -> dict[int, str]:
    """Return the thumbnails of the works of lists: group → signed address."""
    numbers = {work.group_id for one in enquiries for work in one.works if work.group_id}
    tiles = load_tiles(db.session(), sorted(numbers))
    return {
        tile.group.id: make_thumbnail_url(tile.cover)
        for tile in tiles
        if tile.group.state != "trash"
    }


@blueprint.get("/admin/shares/<db_id:number>/lists")
def show_share_lists(number: int) -> ResponseReturnValue:
    """Show the lists that visitors of a link have sent, from new to old."""
    session, before = db.session(), read_query(_ListsQuery).before
    share = links.get_share(session, number)
    return render_template(
        "admin/share_lists.html",
        share=share,
        name=name_share(share),
        state=links.find_state(session, share),
        page=inbox.list_of_share(session, number, before),
        before=before,
        states=inbox.STATES,
    )


@blueprint.post("/admin/shares/<db_id:number>/lists/on")
def take_share_lists(number: int) -> ResponseReturnValue:
    """Let visitors of a link send lists."""
    share = links.set_takes_lists(db.session(), number, True)
    commit_action("take_lists", number, name=name_share(share))
    say(_("Visitors of this link can now send shortlists."))
    return redirect(url_for(".show_share_lists", number=number), 303)


@blueprint.post("/admin/shares/<db_id:number>/lists/off")
def refuse_share_lists(number: int) -> ResponseReturnValue:
    """Take no more lists from visitors of a link; those that were received stay."""
    share = links.set_takes_lists(db.session(), number, False)
    commit_action("refuse_lists", number, name=name_share(share))
    say(_("Visitors of this link can no longer send shortlists."))
    return redirect(url_for(".show_share_lists", number=number), 303)


def _refuse(error: ImageHubError, number: int) -> ResponseReturnValue:
    return return_refused(error, url_for(".show_enquiry", number=number))


def _make_title(number: int) -> str:
    enquiry = inbox.get_enquiry(db.session(), number)
    return str(_("Shortlist of %(name)s", name=enquiry.name))[:300]


@act("/admin/enquiries/<db_id:number>/share", _refuse)
def share_shortlist(number: int) -> ResponseReturnValue:
    """Create a share link to the works of a list."""
    title = _make_title(number)
    share, token = shortlists.share_list(db.session(), number, current_user.id, title)
    commit_action("create_share", share.id, name=name_share(share))
    return show_address(share, token)


@act("/admin/enquiries/<db_id:number>/series", _refuse)
def make_shortlist_series(number: int) -> ResponseReturnValue:
    """Create a draft series of the works of a list, and open its page."""
    series = shortlists.make_series(db.session(), number, _make_title(number))
    commit_action("create_series", series.id, name=name_series(series))
    return redirect(url_for(".show_series_page", number=series.id), 303)
