"""Let visitors' pages read a replica of the database, as long as it has all changes.

The replica's mark (see ``models.revision``) changes in the same transaction as what visitors see.
If it is that of the primary database, as read at the beginning of the request, the replica has all
changes that were committed until then. If it is not, or if the replica does not answer, the page is
read from the primary, so that no visitor sees an outdated one: a work that was unpublished is gone
at once. Both marks are read before the page, and the replica's through the connection that reads
the page: it does not matter if several replicas share one address.
"""

import logging
import time

from flask import Flask, current_app, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from imagehub.database import REPLICA, db
from imagehub.models import GalleryRevision
from imagehub.web.access import REPLICA_ENDPOINTS
from imagehub.web.errors import answer_database_error

log = logging.getLogger(__name__)

# A replica that did not answer is not asked again for this long.
REST_SECONDS = 5.0


class Replica:
    """Decides which database a request reads."""

    def __init__(self, app: Flask) -> None:
        self._is_set = REPLICA in app.config.get("SQLALCHEMY_BINDS", {})
        self._rests_until = 0.0

    def may_serve(self) -> bool:
        """Tell whether this request may read the replica if nobody is signed in."""
        return (
            self._is_set
            and request.endpoint in REPLICA_ENDPOINTS
            and time.monotonic() >= self._rests_until
        )

    def use(self, revision: int | None) -> None:
        """Let the session of this request read the replica if that has this revision.

        :param revision: of the primary database; None if it does not answer. Nothing changes then,
            so the replica is the best there is.
        """
        session = db.session()
        session.info[REPLICA] = True
        try:
            mark = session.scalar(select(GalleryRevision.mark))
        except SQLAlchemyError as error:
            self._rest(error)
        else:
            if mark is not None and revision in (mark, None):
                return
        _leave()

    def _rest(self, error: Exception) -> None:
        self._rests_until = time.monotonic() + REST_SECONDS
        cause = getattr(error, "orig", None) or error
        log.warning("[%s] the replica did not answer: %s", g.get("request_id"), cause)

    def answer_failure(self, error: Exception) -> ResponseReturnValue:
        """Answer the failure of a database; if it was the replica, run the view once more."""
        if not db.session().info.get(REPLICA):
            return answer_database_error(error)
        self._rest(error)
        _leave()
        try:
            return current_app.dispatch_request()
        except Exception as again:
            return current_app.handle_user_exception(again)


def _leave() -> None:
    """Let the session of this request read the primary database."""
    session = db.session()
    session.rollback()
    session.expunge_all()
    session.info.pop(REPLICA, None)
