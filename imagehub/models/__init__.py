"""The tables.

``account``: users and sign-in · ``drive``: the OneDrive connection · ``library``: groups, images,
renditions and their objects · ``finding``: tags and the search index · ``work``: imports and leases
· ``guard``: sessions, two-factor authentication, API tokens, the activity log, settings ·
``planning``: import plans · ``sharing``: the trash and share links.
"""

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
