"""A drive that is connected through the sign-in page."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from imagehub.clients.graph import GraphDrive
from imagehub.clients.graph_boundary import DriveMemory
from imagehub.clients.identity import MicrosoftIdentity
from imagehub.clients.sign_in import SignedIn
from tests.clients.scripted import open_graph
from tests.fixtures.onedrive import OneDrive

CLIENT_ID = "11111111-2222-3333-4444-555555555555"
REDIRECT_URI = "http://localhost:3000/signed-in"
SCOPES = ("Files.ReadWrite", "User.Read")


def make_identity(onedrive: OneDrive, secret: str = "") -> MicrosoftIdentity:
    return MicrosoftIdentity(CLIENT_ID, secret, onedrive.url, timeout_seconds=10)


def read_answer(url: str) -> dict[str, str]:
    """Return the query of the redirect address after the sign-in page."""
    return dict(parse_qsl(urlsplit(url).query))


def sign_in(
    onedrive: OneDrive, identity: MicrosoftIdentity, scopes: tuple[str, ...] = SCOPES
) -> SignedIn:
    flow = identity.start_sign_in(REDIRECT_URI, scopes)
    return identity.finish_sign_in(flow.flow, read_answer(onedrive.consent(flow.url)))


@dataclass
class Connection:
    """Tokens of one account, stored like in the hub; counts forced refreshes."""

    onedrive: OneDrive
    scopes: tuple[str, ...] = SCOPES
    forced_count: int = 0
    identity: MicrosoftIdentity = field(init=False)
    cache: str = field(init=False)

    def __post_init__(self) -> None:
        self.identity = make_identity(self.onedrive)
        self.cache = sign_in(self.onedrive, self.identity, self.scopes).cache

    def get_token(self, refused_token: str = "", claims: str = "") -> str:
        self.forced_count += bool(refused_token)
        token = self.identity.refresh_token(self.cache, self.scopes, bool(refused_token), claims)
        self.cache = token.cache or self.cache
        return token.token

    def open_drive(
        self,
        root_folder: str = "root",
        memory: DriveMemory | None = None,
        **options: Any,
    ) -> GraphDrive:
        """Open a drive of this account; other options are passed to its caller."""
        url = options.pop("base_url", self.onedrive.graph_url)
        options = {"get_token": self.get_token, "max_wait_seconds": 5.0, **options}
        return GraphDrive(open_graph(url, **options), root_folder, memory)
