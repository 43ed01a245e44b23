"""Helpers for tests that edit groups."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.domain.library import edit as library_edit
from imagehub.domain.library import groups
from imagehub.domain.library import images as library_images
from imagehub.domain.library.edit import Edit
from imagehub.models import Group


def save(session: Session, number: int, **changes: str) -> Group:
    group = groups.get_group(session, number)
    return library_edit.save_group(session, number, Edit(group.version, changes, {}))


def list_names(session: Session, number: int) -> list[str]:
    session.expire_all()
    return [image.name for image in library_images.list_images(session, number)]


def list_order(session: Session) -> list[int]:
    return list(session.scalars(select(Group.id).order_by(Group.sort_key.desc())))
