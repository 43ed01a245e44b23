"""Packets of XMP are read once, however they are built."""

import pytest

from imagehub.imaging.private_data import PrivateData
from tests.imaging.private_data import files
from tests.imaging.private_data.checks import check_cleaned, examine


def add_packet(packet: bytes) -> bytes:
    return files.save(files.draw().resize((16, 16)), "WEBP", xmp=packet)


@pytest.mark.parametrize("start", [b"<!--", b"<![CDATA[", b"<?x ", b"<a b='", b"</a ", b"< "])
def test_what_is_never_closed_is_not_searched_for_again_and_again(start: bytes) -> None:
    """Searching to the end from each of these beginnings would take longer than all other tests."""
    assert examine(add_packet(start * 300_000)) == PrivateData()
    cleaned = check_cleaned(add_packet(b"<x>gps</x>" + start * 300_000), ("other",))
    assert b"gps" not in cleaned


def test_namespaces_end_with_their_element() -> None:
    photoshop, other = "http://ns.adobe.com/photoshop/1.0/", "urn:other"
    packet = (
        f'<a xmlns:p="{other}"><b xmlns:p="{photoshop}"><p:City>Paris</p:City></b>'
        f'<p:City>stays</p:City><b xmlns:p="{photoshop}" p:City="Rome"/><p:City>stays</p:City></a>'
    )
    cleaned = check_cleaned(add_packet(packet.encode()), ("place",))
    assert cleaned.count(b"<p:City>stays</p:City>") == 2
    assert b"Paris" not in cleaned and b"Rome" not in cleaned


def test_comments_and_cdata_are_no_tags() -> None:
    photoshop = "http://ns.adobe.com/photoshop/1.0/"
    packet = (
        f'<?x <a> ?><a xmlns:p="{photoshop}"><!-- </a> --><p:City><![CDATA[<Paris>]]></p:City>'
        "<b><![CDATA[51.5225 N, 0.1583 W]]></b></a>"
    )
    cleaned = check_cleaned(add_packet(packet.encode()), ("place",))
    assert b"Paris" not in cleaned and b"51.52" not in cleaned
    assert b"<b><![CDATA[" in cleaned
