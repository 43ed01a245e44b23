"""The error handler rolls back; views may handle their own errors."""

import pytest
from flask import Flask
from sqlalchemy import select

from imagehub.database import db
from imagehub.errors import ConflictError, ImageHubError, NotFoundError
from imagehub.messages import Message
from imagehub.models import Tag
from imagehub.web import access
from imagehub.web.errors import on_refusal
from tests.fixtures.site import Site


@pytest.fixture
def app(site: Site, monkeypatch: pytest.MonkeyPatch) -> Flask:
    app = site.app
    app._got_first_request = False
    names = ("refuse", "refuse_again", "refuse_otherwise")
    monkeypatch.setattr(access, "PUBLIC_ENDPOINTS", access.PUBLIC_ENDPOINTS | set(names))
    refuse_everyone = on_refusal(lambda error: "told", ImageHubError)(lambda: "done")
    app.add_url_rule("/closed", "closed", refuse_everyone, methods=["POST"])

    def fail(number: int) -> str:
        db.session.add(Tag(name="Half made", name_key="half made", slug="half-made"))
        db.session.flush()
        raise ConflictError(Message("Number %(number)s is taken.", number=number))

    def answer(error: ImageHubError, number: int) -> tuple[str, int]:
        count = len(db.session.scalars(select(Tag)).all())
        return f"{number}: {error} {count} tags", 409

    def answer_in_vain(error: ImageHubError, number: int) -> tuple[str, int]:
        raise NotFoundError("group", number)

    def refuse(number: int) -> str:
        return fail(number)

    def refuse_again(number: int) -> str:
        return fail(number)

    def refuse_otherwise(number: int) -> str:
        return fail(number)

    app.add_url_rule("/refuse/<int:number>", view_func=on_refusal(answer)(refuse))
    app.add_url_rule("/again/<int:number>", view_func=on_refusal(answer_in_vain)(refuse_again))
    app.add_url_rule(
        "/otherwise/<int:number>", view_func=on_refusal(answer, NotFoundError)(refuse_otherwise)
    )
    return app


def test_a_view_handles_its_own_errors_after_the_rollback(app: Flask) -> None:
    answer = app.test_client().get("/refuse/7")
    assert (answer.status_code, answer.text) == (409, "7: Number 7 is taken. 0 tags")


def test_a_view_handles_no_errors_of_unauthorized_requests(app: Flask) -> None:
    answer = app.test_client().post("/closed")
    assert (answer.status_code, answer.text == "told") == (403, False)


def test_an_error_while_answering_gets_the_usual_answer(app: Flask) -> None:
    assert app.test_client().get("/again/7").status_code == 404


def test_errors_of_other_kinds_get_the_usual_answer(app: Flask) -> None:
    answer = app.test_client().get("/otherwise/7", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json) == (409, {"detail": "Number 7 is taken."})
