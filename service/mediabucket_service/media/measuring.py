"""How large a picture is and how long a recording lasts, as the first bytes of the file say.

Nothing is decoded, and what is told is the uploader's word: fit for a layout, not for an invoice. The parsers were not
written for hostile files, so they get a stand-in for the file that ends where the head does and that gives them up
after a number of calls, and only what a rule of `signatures` has recognised reaches them.
"""

import io
from dataclasses import dataclass
from typing import Final, cast

import imagesize
from tinytag import TinyTag

from mediabucket_service.media.signatures import (
    FILM_TYPES,
    FLAC_TYPES,
    MP3_TYPES,
    OGG_TYPES,
    RASTER_IMAGES,
    WAVE_TYPES,
    brands,
)

MAX_PIXELS_A_SIDE: Final = 100_000
MAX_SECONDS: Final = 100 * 3600
# Pictures and sound of every day need some hundreds.
_MOST_CALLS: Final = 4000
# imagesize walks every entry of a HEIF's tables, and a head full of them takes it 12 ms.
_HEIF_BYTES: Final = 8192
_MOST_ROTATIONS: Final = 8

# tinytag finds the duration of these in their head; that of MP3 and Ogg only where it needs no byte after it.
_TOLD_BY_ALL = frozenset((*MP3_TYPES, *OGG_TYPES))
_TIMED = frozenset((*FILM_TYPES, "video/quicktime", *WAVE_TYPES, *FLAC_TYPES)) | _TOLD_BY_ALL


@dataclass(frozen=True)
class Measures:
    """Width and height in pixels as shown, duration in seconds; None where the head does not tell."""

    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None


def measured(head: bytes, size: int, mime_type: str) -> Measures:
    """The measures of a file of `size` bytes that begins with `head` and keeps the rule of its type. Never raises."""
    announced = mime_type.lower()
    try:
        if announced in RASTER_IMAGES:
            return _plausible_size(*_shown_size(head, size))
        if announced in _TIMED:
            return _plausible_duration(_duration(head, size, announced))
    except Exception:
        # Whatever a parser makes of a broken or hostile file, its measures are not worth a refusal.
        return Measures()
    return Measures()


def _shown_size(head: bytes, size: int) -> tuple[int, int]:
    """Width and height after the orientation that the file asks for. Raises what the parser does."""
    if not brands(head):
        width, height = imagesize.get(_file(head, size))
        return width, height
    start = head[:_HEIF_BYTES]
    # imagesize 2.0.1 gives up at a real `irot`, for which it expects four bytes more, and a head that is made for its
    # reading of orientations takes it minutes.
    width, height = imagesize.get(_file(start.replace(b"irot", b"skip"), size), exif_rotation=False)
    return (height, width) if _is_turned(start) else (width, height)


def _is_turned(start: bytes) -> bool:
    """Whether the picture is to be shown turned by a quarter: property `irot`, ISO/IEC 23008-12 §6.5.10.

    Raises ValueError when the pictures in the file differ in this.
    """
    turns = {piece[0] & 1 for piece in start.split(b"irot", _MOST_ROTATIONS)[1:] if piece}
    if len(turns) > 1:
        raise ValueError("turned and not turned")
    return turns == {1}


def _duration(head: bytes, size: int, announced: str) -> float | None:
    file = _HeadOfFile(head, size)
    tag = TinyTag.get(file_obj=cast(io.BytesIO, file), tags=False)
    if file.is_cut and announced in _TOLD_BY_ALL:
        return None
    if tag.duration and tag.bitrate and head[8:12] == b"WAVE" and tag.duration * tag.bitrate * 125 > size:
        # A recorder that could not go back to write how long it had become.
        return None
    return tag.duration


def _plausible_size(width: int, height: int) -> Measures:
    sides = (width, height)
    return Measures(*sides) if all(1 <= side <= MAX_PIXELS_A_SIDE for side in sides) else Measures()


def _plausible_duration(seconds: float | None) -> Measures:
    # False of a number that is none, as well.
    if seconds is None or not 0 < seconds < MAX_SECONDS:
        return Measures()
    return Measures(duration_seconds=round(seconds, 3) or None)


def _file(head: bytes, size: int) -> io.BytesIO:
    return cast(io.BytesIO, _HeadOfFile(head, size))


class _TooManyCalls(Exception):
    """The parser asks more of a head than that of an honest file calls for."""


class _HeadOfFile:
    """What parsers take for a seekable file of the whole size. `is_cut`: they wanted more of it than there is."""

    def __init__(self, head: bytes, size: int) -> None:
        self._head = head
        self._size = size
        self._position = 0
        self._calls = 0
        self._at_tail = False
        self.is_cut = False

    def read(self, count: int = -1) -> bytes:
        self._count()
        found = self._head[self._position :] if count < 0 else self._head[self._position : self._position + count]
        # A look at the last bytes is for a tag there, without which every parser does.
        if not self._at_tail and self._size > len(self._head) and (count < 0 or len(found) < count):
            self.is_cut = True
        self._position += len(found)
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._count()
        self._at_tail = whence == io.SEEK_END
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise OSError("before the beginning")
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def _count(self) -> None:
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise _TooManyCalls
