"""Writing to images what was heard of their files; the ways of a whole drive are the check's."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from imagehub.clients import ItemAnswer
from imagehub.domain.sync import apply
from imagehub.models import Image
from tests.fixtures.importing import ImportHub


def test_an_image_that_was_made_anew_meanwhile_is_left_as_it_is(
    either_import_hub: ImportHub,
) -> None:
    """What was heard is about a file that the image no longer comes from."""
    hub = either_import_hub
    hub.work(hub.create(hub.put_pictures("Works", 2)))
    first, second = hub.list_images()
    with Session(hub.engine) as other, other.begin():
        other.execute(update(Image).where(Image.id == first.id).values(drive_hash="new"))
    apply.apply_answers(
        hub.session, hub.account_id, [(first, ItemAnswer()), (second, ItemAnswer())]
    )
    hub.session.commit()
    assert [image.drive_state for image in hub.list_images()] == ["ok", "missing"]
