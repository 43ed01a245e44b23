"""The tables.

``account``: users, sign-in, the activity log, settings · ``drive``: the OneDrive connection ·
``imports``: import plans, imports, leases · ``library``: groups, images, tags, the trash, stored
objects · ``legacy``: what came from the first version · ``notices``: messages that were sent ·
``revision``: a mark of what visitors see · ``sharing``: share links · ``watching``: watched
folders.
"""

from imagehub.models.account import (
    ApiToken,
    AuditEntry,
    HubSetting,
    RecoveryCode,
    RevokedToken,
    SecondFactor,
    SignInFailure,
    SignInSession,
    User,
)
from imagehub.models.drive import (
    DriveAccount,
    DriveCopy,
    DriveFolder,
    DriveSubscription,
    DriveWatch,
    PendingSignIn,
    UploadSession,
)
from imagehub.models.imports import (
    ImportItem,
    ImportJob,
    ImportPlan,
    ImportPlanFile,
    ImportProposal,
    Lease,
)
from imagehub.models.legacy import LegacyRow
from imagehub.models.library import (
    GalleryBucket,
    Group,
    GroupTag,
    Image,
    PrivateData,
    Rendition,
    StoredObject,
    Tag,
    TrashEntry,
)
from imagehub.models.notices import Notice
from imagehub.models.revision import GalleryRevision
from imagehub.models.sharing import ShareItem, ShareLink
from imagehub.models.watching import WatchedFolder, WatchedItem
