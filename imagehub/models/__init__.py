"""The tables. ``account``: people and tokens · ``drive``: the OneDrive connection · ``library``:
groups, images, renditions and their objects · ``finding``: tags and the search index · ``work``:
imports and leases."""

from imagehub.models.account import RevokedToken, SignInFailure, User
from imagehub.models.drive import DriveAccount, PendingSignIn
from imagehub.models.finding import GroupTag, Tag
from imagehub.models.library import GalleryBucket, Group, Image, Rendition, StoredObject
from imagehub.models.work import ImportItem, ImportJob, Lease

__all__ = [
    "DriveAccount",
    "GalleryBucket",
    "Group",
    "GroupTag",
    "Image",
    "ImportItem",
    "ImportJob",
    "Lease",
    "PendingSignIn",
    "Rendition",
    "RevokedToken",
    "SignInFailure",
    "StoredObject",
    "Tag",
    "User",
]
