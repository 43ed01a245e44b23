"""Applying news of files to images; ``test_check`` covers whole drives."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from imagehub.clients import ItemAnswer
from imagehub.domain.sync import apply
from imagehub.models import Image
from tests.fixtures.importing import ImportHub


def test_an_image_reimported_meanwhile_is_not_changed(
    either_import_hub: ImportHub,
) -> None:
    """The news is about a file that the image no longer comes from."""
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
