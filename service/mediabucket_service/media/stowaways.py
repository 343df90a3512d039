"""What a picture or a PDF carries that some reader would take for another file: pure functions, no I/O.

What is looked at are the first and the last bytes, where readers of such files look. A picture of compressed bytes
holds every short text by chance, so only what is whole is found: a tag with the end of its name, a record whose fields
make sense. `<%` and `<?=` are too short for that, and are not looked for; nor is what lies in the middle of a large
file: the more bytes are looked at, the more honest pictures hold a tag.
"""

import re
from collections.abc import Iterable
from typing import Final

# A ZIP is known by its last record: 22 bytes, and a comment of up to 65,535.
_END_BYTES: Final = 22
TAIL_BYTES: Final = _END_BYTES + 65_535

# The name of a tag must end: of random heads one in a million holds `<html`, one in 33 million with such an end.
_LONG_TAGS: Final = (rb"script", rb"html", rb"body", rb"iframe", rb"object", rb"embed")
# `<svg` is shorter: with such an end it is in one of 260,000 heads. It does nothing without an attribute.
_SHORT_TAGS: Final = (rb"svg", rb"img")
_ATTRIBUTE: Final = rb"(?=[^>]{0,512}?[a-z]{2}\s*=)"
_PICTURE_MARKUP = re.compile(
    rb"<(?:!doctype\s+html|(?:%s)(?:[\s/>]|\Z)|(?:%s)[\s/]%s|\?php\s)|<%%@\s*(?:page|include|taglib|language)[\s=]"
    % (rb"|".join(_LONG_TAGS), rb"|".join(_SHORT_TAGS), _ATTRIBUTE)
)
_PDF_MARKUP = re.compile(rb"<(?:!doctype\s+html|(?:script|html|svg|iframe)(?:[\s/>]|\Z))")
# In UTF-16 of either order the bytes between `<` and what ends the name are the same.
_WIDE_MARKUP = re.compile(
    rb"<\0(?:%s)\0[\s/>]"
    % rb"|".join(
        rb"\0".join(re.escape(bytes([letter])) for letter in name)
        for name in (b"!doctype", b"script", b"html", b"body", b"iframe", b"object", b"embed", b"svg", b"img")
    )
)

# A name, then an assignment or the start of a comment: to its own reader a width of more than 8,000 pixels.
_GIF_SCRIPT = re.compile(rb"GIF8[79]a(?:=[\x20-\x7e]|/[*/])")
# A segment of a length that no such segment has: its thumbnail would have a third of a pixel.
_JPEG_SCRIPT = re.compile(rb"\xff\xd8\xff\xe0/\*")

_ENTRY = re.compile(rb"PK\x03\x04")
_END = re.compile(rb"PK\x05\x06")
_NEWEST_VERSION: Final = 63
# https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT 4.4.5
_METHODS = frozenset({0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 16, 18, 19, 20, 93, 94, 95, 96, 97, 98, 99})
_LONGEST_NAME: Final = 1024
_SMALLEST_DIRECTORY_ENTRY: Final = 46


def in_picture(head: bytes, tail: bytes = b"") -> str | None:
    """What a picture carries in its first or last bytes, as a part of a sentence; None: nothing."""
    return (
        _markup(_PICTURE_MARKUP, (head, tail))
        or _markup(_WIDE_MARKUP, (head, tail))
        or ("a PDF" if b"%PDF-" in head or b"%PDF-" in tail else None)
        or ("a ZIP archive" if _has_archive(head) or _has_archive(tail) else None)
        or ("a script" if _GIF_SCRIPT.match(head) or _JPEG_SCRIPT.match(head) else None)
    )


def in_pdf(head: bytes) -> str | None:
    """What a PDF carries in its first bytes. It may hold attachments, and forms are pages in part."""
    return _markup(_PDF_MARKUP, (head,))


def _markup(pattern: re.Pattern[bytes], places: Iterable[bytes]) -> str | None:
    for place in places:
        if found := pattern.search(place.lower()):
            return f"markup ({found[0].replace(bytes(1), b'').decode('ascii').strip()})"
    return None


def _has_archive(place: bytes) -> bool:
    return any(_is_entry(place, found.start()) for found in _ENTRY.finditer(place)) or any(
        _is_end(place, found.start()) for found in _END.finditer(place)
    )


def _is_entry(place: bytes, start: int) -> bool:
    """A local file header that could be read: made for a version that exists, by a method that exists, of a name."""
    version, method, length = (_number(place, start + at, size) for at, size in ((4, 1), (8, 2), (26, 2)))
    name = place[start + 30 : start + 30 + min(length, _LONGEST_NAME)]
    known = version <= _NEWEST_VERSION and method in _METHODS and 0 < length <= _LONGEST_NAME
    return known and len(name) == length and all(byte >= 0x20 and byte != 0x7F for byte in name)


def _is_end(place: bytes, start: int) -> bool:
    """The last record of an archive of one part that has entries."""
    disk, first_disk, here, total, comment = (_number(place, start + at, 2) for at in (4, 6, 8, 10, 20))
    is_whole = len(place) >= start + _END_BYTES + comment
    holds_them = _number(place, start + 12, 4) >= total * _SMALLEST_DIRECTORY_ENTRY
    return is_whole and holds_them and disk == first_disk and here == total > 0


def _number(place: bytes, at: int, size: int) -> int:
    return int.from_bytes(place[at : at + size], "little")
