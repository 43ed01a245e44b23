"""OneDrive's recycle bin."""

import pytest

from imagehub.clients import DriveItem
from imagehub.domain.onedrive.deletion import RecycleBin, describe_recycle_bin


@pytest.mark.parametrize(
    ("web_url", "address"),
    [
        (
            "https://contoso-my.sharepoint.com/personal/ada_example_org/Documents/Works/a.jpg",
            "https://contoso-my.sharepoint.com/personal/ada_example_org/_layouts/15/RecycleBin.aspx",
        ),
        (
            "https://contoso.sharepoint.com/sites/studio/Shared%20Documents/a.jpg",
            "https://contoso.sharepoint.com/sites/studio/_layouts/15/RecycleBin.aspx",
        ),
        ("https://contoso.sharepoint.com/", ""),
        ("javascript:alert(1)//personal/x", ""),
    ],
)
def test_a_work_account_has_its_recycle_bin_on_its_site(web_url: str, address: str) -> None:
    item = DriveItem("1", "a.jpg", False, 1, "", "", raw={"webUrl": web_url})
    assert describe_recycle_bin("business", [item]) == RecycleBin(address, 93, can_restore=False)
