"""Bring pictures over, one at a time: renditions first, rows second."""

import logging
from typing import Any, BinaryIO

from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.orm import Session

from imagehub.database import explain_data_error, get_database_time
from imagehub.domain.imports.saving import list_files, put_file
from imagehub.domain.objects.bookkeeping import KeyGoneError, pin_keys
from imagehub.domain.sync.state import ABSENT
from imagehub.errors import ConnectionLostError, ImageHubError, ServiceError, ServiceRefusedError
from imagehub.models import LegacyRow
from imagehub.runtime.legacy import saving
from imagehub.runtime.legacy.accounts import OpenDrive
from imagehub.runtime.legacy.ahead import Ahead, Prepared, Row
from imagehub.runtime.legacy.content import Content, RowError
from imagehub.runtime.legacy.matching import Match
from imagehub.runtime.legacy.saving import NewPicture, Place
from imagehub.runtime.legacy.source import PICTURES, OldPicture, SourceError
from imagehub.runtime.legacy.taken import Taken
from imagehub.runtime.legacy.uploading import pretend_upload
from imagehub.runtime.legacy.work import SAVES, Work

log = logging.getLogger(__name__)


class PictureMover:
    """Brings pictures over. ``drive`` is None while OneDrive is not connected.

    :param taken: what earlier rows of a dry run have taken; None if it is no dry run.
    """

    def __init__(
        self, work: Work, ahead: Ahead, drive: OpenDrive | None, taken: Taken | None
    ) -> None:
        self._work = work
        self._ahead = ahead
        self._drive = drive
        self._taken = taken
        self._uploads_fail = False

    def bring(self, row: Row) -> None:
        """Bring one picture over; a fault of its own does not stop the others.

        :raise SourceError, ServiceError, OperationalError, OSError: the others would fail too.
        """
        what = row.found[0].describe() if len(row.found) == 1 else f"row {row.key}"
        try:
            if not row.found:
                self._work.progress.tell(f"Row {row.key} was deleted in the meantime.")
                return
            if len(row.found) > 1:
                raise RowError(f"Several rows of {PICTURES} have the index {row.key}.")
            if row.mark is None:
                assert row.prepared is not None
                with row.prepared.result() as prepared:
                    self._make_picture(row.found[0], prepared)
            else:
                self._work.report.pictures["already here"] += 1
                if not row.is_settled:
                    self._revisit(row.key, row.found[0], row.mark)
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

    def _make_picture(self, old: OldPicture, new: Prepared) -> None:
        place = new.place
        self._take_place(place)
        match = self._match(old, place.group, new.content)
        if match is None:
            # Nothing is uploaded for a row whose place an earlier one has taken meanwhile.
            self._work.read(saving.check_place, place)
            mime_type = new.picture.mime
            match = self._upload_if_missing(old, place, new.file, new.content, mime_type)
        if self._taken is None:
            self._store(old, new, match)
        self._work.report.pictures["made"] += 1

    def _take_place(self, place: Place) -> None:
        """Take the numbers in a dry run, which saves nothing that would show it to later rows.

        :raise RowError: an earlier row of this dry run has them.
        """
        if self._taken is None or place.number is None:
            return
        if not self._taken.take_place(place.group, place.number):
            raise RowError(f"Group {place.group} has another image {place.number} in the hub.")

    def _match(self, old: OldPicture, group: int, content: Content) -> Match | None:
        """Find the file of a picture, unless an image of the group has it already."""
        drive = self._drive
        if drive is None:
            return None
        for match in drive.listing.iter_matches(old, content):
            is_taken = self._work.read(saving.has_file, group, drive.account_id, match)
            if not is_taken and self._taken is not None:
                is_taken = not self._taken.take_file(group, match.item.id)
            if not is_taken:
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
    ) -> Match | None:
        """Upload a picture that has no file yet, if that is wanted; count it otherwise."""
        counts, drive = self._work.report.pictures, self._drive
        if self._work.options.upload_missing and not self._uploads_fail and drive is not None:
            if self._taken is not None:
                counts["uploaded"] += 1
                # Pictures of other groups with the same bytes will be matched with the new file.
                upload = pretend_upload(old, content, mime_type)
                drive.listing.add(upload)
                self._taken.take_file(place.group, upload.item.id)
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

    def _store(self, old: OldPicture, prepared: Prepared, match: Match | None) -> None:
        """Store the renditions, then the rows."""
        files = list_files(prepared.picture.renditions)
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
                prepared.place,
                prepared.content,
                prepared.picture,
                prepared.private_data,
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
        if not saving.is_same_row(mark, old):
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
                    content = self._ahead.decode(key, file)
                    if content.sha256 != image.sha256:
                        raise RowError("The old picture has changed since it was brought over.")
                match = self._upload_if_missing(old, place, file, content, image.mime_type)
        if match is not None and not self._work.options.dry_run:
            self._work.save(saving.attach_file, image, drive.account_id, match, drive.listed_at)
