"""Find what an original says about places, people and devices, and how to blank it in place.

``look`` reads the headers of a file through a ``Source`` and returns the bytes to replace. What is
cleaned has the same length and the same pixels; ``blanks`` applies the replacements to any range of
the file while it is sent. Nothing here knows Flask, a database or a network.

What counts as private:

- *place*: GPS in Exif and XMP, IPTC and XMP location fields, GPS of drones and action cameras;
- *person*: the camera's owner, people and face regions, contact data;
- *device*: serial numbers, the name of the computer, maker notes other than Apple's. Makers keep
  serial numbers and owner names there in ways of their own, some encrypted, so maker notes are
  blanked whole. Apple's hold neither, and viewers need them to show HDR;
- *other*: data behind the end of the picture, such as the video of a motion photo.

Of videos, tracks in which cameras note where they are while they film are blanked whole.

Captions and comments that contain a place, a serial number or a user's folder count as well: see
``texts``.

Credits stay: Artist, Copyright, XMP and IPTC creator and rights are how an author is named.
"""

from imagehub.imaging.private_data.blanks import Blank
from imagehub.imaging.private_data.look import PrivateData, look
from imagehub.imaging.private_data.source import Packet
from imagehub.imaging.sources import FileSource, Source, TooMuchToReadError

__all__ = ["Blank", "FileSource", "Packet", "PrivateData", "Source", "TooMuchToReadError", "look"]
