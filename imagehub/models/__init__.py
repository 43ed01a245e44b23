"""The tables. ``account``: people and tokens · ``drive``: the OneDrive connection · ``library``:
groups, images, renditions and their objects · ``work``: imports and leases."""

from imagehub.models.account import RevokedToken, SignInFailure, User
from imagehub.models.drive import DriveAccount, PendingSignIn
from imagehub.models.library import GalleryBucket, Group, Image, Rendition, StoredObject
from imagehub.models.work import ImportItem, ImportJob, Lease

__all__ = [
    "DriveAccount",
    "GalleryBucket",
    "Group",
    "Image",
    "ImportItem",
    "ImportJob",
    "Lease",
    "PendingSignIn",
    "Rendition",
    "RevokedToken",
    "SignInFailure",
    "StoredObject",
    "User",
]
