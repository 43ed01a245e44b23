"""Microsoft's own SDK (msgraph-sdk) with the emulator: every call of the drive that the hub makes.

The SDK was written against the real service, so it shows whether the emulator answers like it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import requests
from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_http.middleware.options import RedirectHandlerOption
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.drives.item.items.item.children.children_request_builder import (
    ChildrenRequestBuilder,
)
from msgraph.generated.drives.item.items.item.create_upload_session import (
    create_upload_session_post_request_body as upload,
)
from msgraph.generated.drives.item.items.item.restore.restore_post_request_body import (
    RestorePostRequestBody,
)
from msgraph.generated.models.drive_item import DriveItem
from msgraph.generated.models.drive_item_uploadable_properties import DriveItemUploadableProperties
from msgraph.generated.models.folder import Folder
from msgraph.generated.models.item_reference import ItemReference
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph_core import GraphClientFactory
from msgraph_core.tasks import PageIterator

from tests.emulators.person import STEP_BYTES, Person, make_picture
from tests.fixtures.onedrive import OneDrive

pytestmark = [
    pytest.mark.server,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Tokens(AccessTokenProvider):
    def __init__(self, person: Person) -> None:
        self._person = person

    async def get_authorization_token(
        self, uri: str, additional_authentication_context: dict[str, Any] | None = None
    ) -> str:
        # At Microsoft content and uploads are on other hosts, which are not among the allowed ones.
        is_graph = uri.startswith(self._person.onedrive.graph_url)
        return str(self._person.tokens["access_token"]) if is_graph else ""

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator([])


def drop_token(request: Any, _original_url: Any) -> None:
    # At Microsoft content is on another host than Graph, to which the SDK sends no token.
    request.headers.pop("Authorization", None)


def open_graph(person: Person, connections: httpx.AsyncBaseTransport) -> GraphServiceClient:
    option = RedirectHandlerOption(scrub_sensitive_headers=drop_token)
    client = GraphClientFactory.create_with_default_middleware(
        client=httpx.AsyncClient(transport=connections),
        options={RedirectHandlerOption.get_key(): option},
    )
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(Tokens(person)), client)
    adapter.base_url = person.onedrive.graph_url
    return GraphServiceClient(request_adapter=adapter)


def use_drive(
    onedrive: OneDrive, work: Callable[[GraphServiceClient, Any], Awaitable[None]]
) -> None:
    """Run a coroutine with the client and the builder of the drive's addresses."""
    person = Person(onedrive)

    async def run() -> None:
        # The SDK does not close the transport of a client.
        async with httpx.AsyncHTTPTransport() as connections:
            graph = open_graph(person, connections)
            drive = await graph.me.drive.get()
            await work(graph, graph.drives.by_drive_id(drive.id))

    asyncio.run(run())


@pytest.fixture(params=["personal", "business"])
def either(request: pytest.FixtureRequest) -> OneDrive:
    name = "onedrive" if request.param == "personal" else "onedrive_business"
    drive: OneDrive = request.getfixturevalue(name)
    return drive


async def create_folder(drive: Any, parent_id: str, name: str) -> Any:
    body = DriveItem(name=name, folder=Folder())
    body.additional_data = {"@microsoft.graph.conflictBehavior": "fail"}
    return await drive.items.by_drive_item_id(parent_id).children.post(body)


def test_the_drive_its_root_and_folders(either: OneDrive) -> None:
    async def work(_graph: GraphServiceClient, drive: Any) -> None:
        info = await drive.get()
        assert info.drive_type == either.kind
        assert info.quota.total > 0
        root = await drive.root.get()
        assert root.root is not None
        names = [f"Folder {number}" for number in range(5)]
        for name in names:
            assert (await create_folder(drive, root.id, name)).name == name
        with pytest.raises(ODataError) as caught:
            await create_folder(drive, root.id, names[0])
        assert caught.value.error.code == "nameAlreadyExists"

        query = ChildrenRequestBuilder.ChildrenRequestBuilderGetQueryParameters(top=2)
        page = await drive.items.by_drive_item_id(root.id).children.get(
            RequestConfiguration(query_parameters=query)
        )
        assert page.odata_next_link
        found: list[str] = []
        pages = PageIterator(page, _graph.request_adapter)
        await pages.iterate(lambda item: found.append(item.name) or True)
        assert sorted(found) == names

    use_drive(either, work)


def test_items_are_renamed_moved_and_deleted(either: OneDrive) -> None:
    async def work(_graph: GraphServiceClient, drive: Any) -> None:
        root = await drive.root.get()
        one = await create_folder(drive, root.id, "One")
        two = await create_folder(drive, root.id, "Two")
        renamed = await drive.items.by_drive_item_id(two.id).patch(DriveItem(name="Zwei #2 100%"))
        assert renamed.name == "Zwei #2 100%"
        moved = await drive.items.by_drive_item_id(two.id).patch(
            DriveItem(parent_reference=ItemReference(id=one.id))
        )
        assert moved.parent_reference.id == one.id
        await drive.items.by_drive_item_id(two.id).delete()
        with pytest.raises(ODataError) as caught:
            await drive.items.by_drive_item_id(two.id).get()
        assert caught.value.response_status_code == 404
        restore = drive.items.by_drive_item_id(two.id).restore
        place = RestorePostRequestBody(parent_reference=ItemReference(id=root.id))
        if either.kind == "personal":
            assert (await restore.post(place)).parent_reference.id == root.id
        else:
            with pytest.raises(ODataError) as caught:
                await restore.post(place)
            assert caught.value.error.code == "notSupported"

    use_drive(either, work)


NAMES = ["plain.jpg", "with space.jpg", "50% of #1 + ü&'.jpg", "a%20b.jpg"]


@pytest.mark.parametrize("name", NAMES)
def test_an_id_with_a_path_uploads_and_reads(either: OneDrive, name: str) -> None:
    picture = make_picture()

    async def work(_graph: GraphServiceClient, drive: Any) -> None:
        root = await drive.root.get()
        at = drive.items.by_drive_item_id
        # The SDK encodes the whole id: items/{id}%3A%2Fname%3A/content.
        put = await at(f"{root.id}:/Sub/{name}:").content.put(picture)
        assert put.name == name
        for address in (f"{root.id}:/Sub/{name}:", f"root:/Sub/{name}:", put.id):
            assert (await at(address).get()).id == put.id
            assert await at(address).content.get() == picture
        children = await at("root:/Sub:").children.get()
        assert [child.name for child in children.value] == [name]
        empty = await at(f"{root.id}:/empty {name}:").content.put(b"")
        assert empty.size == 0

    use_drive(either, work)


@pytest.mark.parametrize("name", NAMES)
def test_an_upload_session_is_created_and_filled(either: OneDrive, name: str) -> None:
    data = bytes(range(256)) * (5 * STEP_BYTES // 512)

    async def work(_graph: GraphServiceClient, drive: Any) -> None:
        root = await drive.root.get()
        wishes = DriveItemUploadableProperties(name=name)
        wishes.odata_type = None
        wishes.additional_data = {"@microsoft.graph.conflictBehavior": "fail"}
        builder = drive.items.by_drive_item_id(f"{root.id}:/{name}:").create_upload_session
        session = await builder.post(upload.CreateUploadSessionPostRequestBody(item=wishes))
        assert session.upload_url
        # By plain HTTP, as browsers do: LargeFileUploadTask of msgraph-core 1.5 sends fragments
        # that are a byte too long.
        for first in range(0, len(data), STEP_BYTES):
            part = data[first : first + STEP_BYTES]
            headers = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"}
            requests.put(session.upload_url, data=part, headers=headers, timeout=30)
        item = await drive.items.by_drive_item_id(f"{root.id}:/{name}:").get()
        assert item.size == len(data)
        assert await drive.items.by_drive_item_id(item.id).content.get() == data

    use_drive(either, work)


def test_changes_are_listed(either: OneDrive) -> None:
    async def work(_graph: GraphServiceClient, drive: Any) -> None:
        root = await drive.root.get()
        builder = drive.items.by_drive_item_id(root.id).delta
        first = await builder.get()
        assert first.odata_delta_link
        folder = await create_folder(drive, root.id, "New")
        changes = await builder.with_url(first.odata_delta_link).get()
        assert folder.id in [item.id for item in changes.value]

    use_drive(either, work)


def test_thumbnails_are_made(either: OneDrive) -> None:
    async def work(_graph: GraphServiceClient, drive: Any) -> None:
        root = await drive.root.get()
        at = drive.items.by_drive_item_id
        item = await at(f"{root.id}:/picture.jpg:").content.put(make_picture())
        sets = await at(item.id).thumbnails.get()
        assert sets.value[0].medium.url
        one = await at(item.id).thumbnails.by_thumbnail_set_id("0").get()
        assert (one.id, one.small.width) == ("0", 96)

    use_drive(either, work)
