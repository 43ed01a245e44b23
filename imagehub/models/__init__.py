"""The tables. ``account``: people and tokens · ``drive``: the OneDrive connection · ``library``:
groups, images, renditions and their objects · ``finding``: tags and the search index · ``work``:
imports and leases · ``guard``: sessions, second factors, tokens for programs, the log, settings."""

from imagehub.models.account import RevokedToken, SignInFailure, User
from imagehub.models.drive import DriveAccount, PendingSignIn
from imagehub.models.finding import GroupTag, Tag
from imagehub.models.guard import (
    ApiToken,
    AuditEntry,
    HubSetting,
    RecoveryCode,
    SecondFactor,
    SignInSession,
)
from imagehub.models.library import GalleryBucket, Group, Image, Rendition, StoredObject
from imagehub.models.work import ImportItem, ImportJob, Lease

__all__ = [
    "ApiToken",
    "AuditEntry",
    "DriveAccount",
    "GalleryBucket",
    "Group",
    "GroupTag",
    "HubSetting",
    "Image",
    "ImportItem",
    "ImportJob",
    "Lease",
    "PendingSignIn",
    "RecoveryCode",
    "Rendition",
    "RevokedToken",
    "SecondFactor",
    "SignInFailure",
    "SignInSession",
    "StoredObject",
    "Tag",
    "User",
]
