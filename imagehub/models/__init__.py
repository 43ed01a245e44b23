"""The tables.

``account``: users, sign-in, the activity log, settings · ``drive``: the OneDrive connection ·
``enquiries``: what visitors have written · ``facets``: what works are filtered by ·
``imports``: import plans, imports, leases · ``likeness``: what covers look like ·
``library``: groups, images, tags, the trash, stored objects · ``legacy``: what came from the first
version · ``notices``: messages that were sent · ``numbers``: counts of views and downloads ·
``pages``: pages of text, menus · ``prints``: print files · ``revision``: a mark of what visitors
see · ``series``: series of groups · ``sharing``: share links · ``translations``: texts in other
languages · ``watching``: watched folders.
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
from imagehub.models.enquiries import Enquiry, EnquiryRecipient, EnquiryWork, SkippedEnquiry
from imagehub.models.facets import FacetEntry, FacetValue
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
    FoundWords,
    GalleryBucket,
    Group,
    GroupTag,
    Image,
    LogoPicture,
    PrivateData,
    Rendition,
    StoredObject,
    Tag,
    TileSet,
    TrashEntry,
    WatermarkPicture,
)
from imagehub.models.likeness import Likeness, LikenessBand
from imagehub.models.notices import Notice
from imagehub.models.numbers import DayCount
from imagehub.models.pages import FormerSlug, MenuEntry, Page
from imagehub.models.prints import PrintFile
from imagehub.models.revision import GalleryRevision
from imagehub.models.series import Series, SeriesGroup
from imagehub.models.sharing import ShareItem, ShareLink, ShareMark
from imagehub.models.translations import Translation
from imagehub.models.watching import WatchedFolder, WatchedItem
