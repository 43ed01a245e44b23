"""The tables. ``account``: people and tokens · ``drive``: the OneDrive connection · ``library``:
groups, images, renditions and their objects · ``finding``: tags and the search index · ``work``:
imports and leases · ``guard``: sessions, second factors, tokens for programs, the log, settings ·
``planning``: imports before they begin · ``sharing``: the trash, and links to share."""

from imagehub.models.account import RevokedToken, SignInFailure, User
from imagehub.models.drive import (
    DriveAccount,
    DriveFolder,
    DriveWatch,
    PendingSignIn,
    UploadSession,
)
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
from imagehub.models.planning import ImportPlan, ImportPlanFile, ImportProposal
from imagehub.models.sharing import ShareItem, ShareLink, TrashEntry
from imagehub.models.work import ImportItem, ImportJob, Lease

__all__ = [
    "ApiToken",
    "AuditEntry",
    "DriveAccount",
    "DriveFolder",
    "DriveWatch",
    "GalleryBucket",
    "Group",
    "GroupTag",
    "HubSetting",
    "Image",
    "ImportItem",
    "ImportJob",
    "ImportPlan",
    "ImportPlanFile",
    "ImportProposal",
    "Lease",
    "PendingSignIn",
    "RecoveryCode",
    "Rendition",
    "RevokedToken",
    "SecondFactor",
    "ShareItem",
    "ShareLink",
    "SignInFailure",
    "SignInSession",
    "StoredObject",
    "Tag",
    "TrashEntry",
    "UploadSession",
    "User",
]
