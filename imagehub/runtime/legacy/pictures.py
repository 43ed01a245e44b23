"""Bring pictures over, one at a time: renditions first, rows second."""

import logging
from contextlib import closing
from typing import Any, BinaryIO

from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.orm import Session

from imagehub.clients import Renderer
from imagehub.database import explain_data_error, get_database_time
from imagehub.domain.imports.saving import list_files, put_file
from imagehub.domain.objects.bookkeeping import KeyGoneError, pin_keys
from imagehub.domain.sync.state import ABSENT
from imagehub.errors import ConnectionLostError, ImageHubError, ServiceError, ServiceRefusedError
from imagehub.imaging.private_data import FileSource, PrivateData, look
from imagehub.imaging.render import RenderedPicture
from imagehub.models import LegacyRow
from imagehub.runtime.legacy import saving
from imagehub.runtime.legacy.accounts import OpenDrive
from imagehub.runtime.legacy.content import Content, RowError, write_picture
from imagehub.runtime.legacy.matching import Match
from imagehub.runtime.legacy.saving import NewPicture, Place
from imagehub.runtime.legacy.source import OldPicture, SourceError
from imagehub.runtime.legacy.uploading import pretend_upload
from imagehub.runtime.legacy.work import SAVES, Work

log = logging.getLogger(__name__)


class PictureMover:
    """Brings pictures over. ``drive`` is None while OneDrive is not connected."""

    def __init__(self, work: Work, drive: OpenDrive | None) -> None:
        self._work = work
        self._drive = drive
        self._uploads_fail = False
        # In a dry run nothing is saved that would show what earlier rows have taken.
        self._taken_places: set[tuple[int, int]] = set()
        self._taken_files: set[tuple[int, str]] = set()

    def bring(self, key: Any) -> None:
        """Bring one picture over; a fault of its own does not stop the others.

        :raise SourceError, ServiceError, OperationalError, OSError: the others would fail too.
        """
        what = f"row {key}"
        try:
            old = self._work.old.find_picture(key)
            if old is None:
                self._work.progress.tell(f"Row {key} was deleted in the meantime.")
                return
            what = old.describe()
            mark = self._work.read(saving.find_mark, saving.IMAGE, old.key)
            if mark is None:
                self._make_picture(key, old)
            else:
                self._work.report.pictures["already here"] += 1
                self._revisit(key, old, mark)
            return
        except (SourceError, ServiceError, OperationalError, OSError):
            raise
        except DataError as error:
            reason = str(explain_data_error(error))
        except ImageHubError as error:
            reason = str(error)
        except Exception:
            if self._work.stopping.is_set():
                raise KeyboardInterrupt from None
            log.exception("Unexpected error at %s", what)
            reason = "An unexpected error occurred; the log says more."
        self._work.report.pictures["failed"] += 1
        self._work.fail(what, reason)

    def _make_picture(self, key: Any, old: OldPicture) -> None:
        place = saving.read_place(old)
        self._work.read(saving.check_place, place)
        if self._work.options.dry_run:
            self._take_place(place)
        renderer = self._work.clients.renderer
        assert renderer is not None
        with self._work.scratch.open_file() as (file, path):
            content = self._decode(key, file)
            picture = self._render(renderer, path)
            match = self._match(old, place.group, content)
            match = self._upload_if_missing(old, place, file, content, picture.mime, match)
            if not self._work.options.dry_run:
                private_data = look(FileSource(file))
                self._store(old, place, content, picture, private_data, match)
        self._work.report.pictures["made"] += 1

    def _take_place(self, place: Place) -> None:
        """:raise RowError: an earlier row of this dry run has the numbers."""
        if place.number is None:
            return
        if (place.group, place.number) in self._taken_places:
            raise RowError(f"Group {place.group} has another image {place.number} in the hub.")
        self._taken_places.add((place.group, place.number))

    def _decode(self, key: Any, file: BinaryIO) -> Content:
        max_bytes = self._work.settings.max_original_bytes
        with closing(self._work.old.iter_pieces(key)) as pieces:
            return write_picture(pieces, file, max_bytes)

    def _render(self, renderer: Renderer, path: str) -> RenderedPicture:
        picture: RenderedPicture = self._work.patiently(renderer.render, path)
        return picture

    def _match(self, old: OldPicture, group: int, content: Content) -> Match | None:
        """Find the file of a picture, unless an image of the group has it already."""
        drive = self._drive
        if drive is None:
            return None
        for match in drive.listing.iter_matches(old, content):
            is_taken = (group, match.item.id) in self._taken_files
            if not is_taken and not self._work.read(
                saving.has_file, group, drive.account_id, match
            ):
                if self._work.options.dry_run:
                    self._taken_files.add((group, match.item.id))
                self._work.report.pictures["matched"] += 1
                if not match.is_same:
                    path = f"{match.folder_name}/{match.item.name}"
                    self._work.progress.tell(f"Changed in OneDrive: {old.describe()}, now {path}")
                return match
        return None

    def _upload_if_missing(
        self,
        old: OldPicture,
        place: Place,
        file: BinaryIO,
        content: Content,
        mime_type: str,
        match: Match | None,
    ) -> Match | None:
        """Upload a picture that has no file yet, if that is wanted; count it otherwise."""
        counts, drive = self._work.report.pictures, self._drive
        if match is not None:
            return match
        if self._work.options.upload_missing and not self._uploads_fail and drive is not None:
            if self._work.options.dry_run:
                counts["uploaded"] += 1
                # Pictures of other groups with the same bytes will be matched with the new file.
                upload = pretend_upload(old, content, mime_type)
                drive.listing.add(upload)
                self._taken_files.add((place.group, upload.item.id))
                return None
            assert drive.uploader is not None
            try:
                match = drive.uploader.upload(old, place, file, content, mime_type)
            except ImageHubError as error:
                # The picture is brought over all the same; the next run tries again.
                self._work.fail(f"upload of {old.describe()}", str(error))
                is_full = isinstance(error, ServiceRefusedError) and error.reason == "quota_full"
                self._uploads_fail = is_full or isinstance(error, ConnectionLostError)
            else:
                counts["uploaded"] += 1
                drive.listing.add(match)
                return match
        counts["not in OneDrive"] += 1
        if drive is not None:
            self._work.progress.tell(f"Not in OneDrive: {old.describe()}")
        return None

    def _store(
        self,
        old: OldPicture,
        place: Place,
        content: Content,
        picture: RenderedPicture,
        private_data: PrivateData,
        match: Match | None,
    ) -> None:
        """Store the renditions, then the rows."""
        files = list_files(picture.renditions)
        account_id = self._drive.account_id if self._drive is not None and match else None
        listed_at = self._drive.listed_at if self._drive else self._work.read(get_database_time)
        for turn in range(1, SAVES + 1):
            with Session(self._work.engine) as session:
                pinned_until, stored = self._work.patiently(pin_keys, session, files)
            for key, file in files.items():
                if key not in stored:
                    self._work.patiently(put_file, self._work.clients.store, key, file)
            new = NewPicture(
                old,
                place,
                content,
                picture,
                private_data,
                pinned_until,
                account_id,
                match,
                listed_at,
            )
            try:
                self._work.save(saving.save_picture, new)
                return
            except KeyGoneError:
                if turn == SAVES:
                    raise RowError("Its renditions are being deleted. Run this again.") from None

    def _revisit(self, key: Any, old: OldPicture, mark: LegacyRow) -> None:
        """Match or upload the file of a picture that was brought over without one."""
        if mark.name != old.name[:400]:
            raise RowError(f"This row was brought over as {mark.name or 'another picture'} before.")
        image = self._work.read(saving.find_image, mark.target_id)
        drive = self._drive
        if image is None or image.drive_state != ABSENT:
            return
        if drive is None:
            self._work.report.pictures["not in OneDrive"] += 1
            return
        content = Content(image.size_bytes, image.sha256, "", image.quick_xor_hash)
        match = self._match(old, image.group_id, content)
        place = Place(image.group_id, image.number)
        if match is None and self._work.read(saving.is_in_trash, place.group):
            self._work.report.pictures["not in OneDrive"] += 1
            if self._work.options.upload_missing:
                self._work.progress.tell(f"In the trash, not uploaded: {old.describe()}")
            return
        if match is None:
            with self._work.scratch.open_file() as (file, _path):
                if self._work.options.upload_missing and not self._work.options.dry_run:
                    content = self._decode(key, file)
                    if content.sha256 != image.sha256:
                        raise RowError("The old picture has changed since it was brought over.")
                match = self._upload_if_missing(old, place, file, content, image.mime_type, match)
        if match is not None and not self._work.options.dry_run:
            self._work.save(saving.attach_file, image, drive.account_id, match, drive.listed_at)
