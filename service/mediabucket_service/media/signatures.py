"""How files of each type begin: one rule per type, each a pure function of the first bytes.

Offsets and marks are those of the formats' own specifications, named at each rule; types are IANA's, and what browsers
call the same formats. A rule never raises, whatever the bytes are.
"""

import codecs
from collections.abc import Callable, Iterator
from typing import Final

# (the first bytes of a file, its whole size in bytes) → whether it is of the type
Rule = Callable[[bytes, int], bool]

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_HEIF = _HEIC | _AVIF | {b"mif1", b"msf1"}
# https://mp4ra.org/registered-types/brands, those of sound and film
_FILM = frozenset(
    b"isom iso2 iso3 iso4 iso5 iso6 iso7 iso8 iso9 mp41 mp42 mp71 avc1 av01 hvc1 dash cmfc cmf2 mmp4 MSNV NDSC XAVC"
    b" 3gp4 3gp5 3gp6 3gp7 3gp8 3gp9 3gr6 3gs6 3ge6 3gg6 3g2a 3g2b 3g2c 3gh9".split()
) | {b"M4V ", b"M4VH", b"M4VP", b"M4A ", b"M4B ", b"M4P ", b"qt  ", b"F4V ", b"F4A "}
# What a QuickTime film of before 2001 may begin with: it has no file type box.
_OLD_FILM = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_MOST_BRANDS = 64

_MP3_KILOBITS: Final = {  # by version and layer: ISO/IEC 11172-3, table of 2.4.2.3, and ISO/IEC 13818-3
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (2, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
}
_MP3_HERTZ: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}

_OFFICE_PARTS = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"customXml/", b"word/", b"xl/", b"ppt/")
_MOST_ZIP_ENTRIES = 64


def begins(*marks: bytes) -> Rule:
    """Files that begin with one of these."""
    return lambda head, _: head.startswith(marks)


def riff(form: bytes) -> Rule:
    """Resource Interchange Files of this four-letter form; RF64 is the same beyond 4 GiB (EBU Tech 3306)."""
    return lambda head, _: head[:4] in (b"RIFF", b"RF64") and head[8:12] == form


def brands(head: bytes) -> list[bytes]:
    """The brands of an ISO base media file (ISO/IEC 14496-12 §4.3), the major one first; none of any other file."""
    length = int.from_bytes(head[:4], "big")
    if head[4:8] != b"ftyp" or length < 16:
        return []
    end = min(length, len(head), 16 + 4 * _MOST_BRANDS)
    return [head[8:12], *(head[start : start + 4] for start in range(16, end - 3, 4))]


def still(family: frozenset[bytes]) -> Rule:
    """Pictures in an ISO base media file (ISO/IEC 23008-12) that have a brand of this family."""

    def rule(head: bytes, _: int) -> bool:
        found = brands(head)
        return bool(found) and found[0] in _HEIF and not family.isdisjoint(found)

    return rule


def is_film(head: bytes, _: int) -> bool:
    """MPEG-4, QuickTime, 3GPP: one container, whose brands do not tell sound from film."""
    found = brands(head)
    return bool(found) and found[0] not in _HEIF and not _FILM.isdisjoint(found)


def is_quicktime(head: bytes, size: int) -> bool:
    return is_film(head, size) or head[4:8] in _OLD_FILM


def is_mp3(head: bytes, size: int) -> bool:
    """An ID3v2 tag, or a frame, after padding if need be, with another frame where it ends."""
    if _is_id3(head):
        return True
    start = len(head) - len(head.lstrip(b"\0"))
    length = _mp3_frame_bytes(head[start : start + 4])
    if length is None or start + length > size:
        return False
    following = head[start + length : start + length + 4]
    return len(following) < 4 or _mp3_frame_bytes(following) is not None


def is_aac(head: bytes, _: int) -> bool:
    """ADTS (ISO/IEC 13818-7 §6.2), whose frames may follow an ID3v2 tag, or ADIF."""
    return (
        _is_id3(head)
        or head.startswith(b"ADIF")
        or head.startswith((b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9"))
    )


def is_matroska(head: bytes, _: int) -> bool:
    """RFC 8794: an EBML header; the document type is within its first bytes."""
    return head.startswith(b"\x1a\x45\xdf\xa3") and (b"webm" in head[:256] or b"matroska" in head[:256])


def is_pdf(head: bytes, _: int) -> bool:
    """ISO 32000-1 §7.5.2; some programs write a byte order mark or an empty line before it."""
    return head[:64].removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"%PDF-")


def is_zip(head: bytes, _: int) -> bool:
    """https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT: an entry, or the end of an archive without any."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_openxml(head: bytes, _: int) -> bool:
    """ECMA-376 part 2: an archive with parts that only office documents have."""
    return any(name.startswith(_OFFICE_PARTS) for name, _ in _zip_entries(head))


def opendocument(mime_type: str) -> Rule:
    """OpenDocument 1.2 part 3 §3.3, EPUB OCF §4.3: the first entry says, uncompressed, which type the document has."""
    expected = mime_type.encode()
    return lambda head, _: next(_zip_entries(head), None) == (b"mimetype", expected)


def is_text(head: bytes, size: int) -> bool:
    """UTF-8 without NUL, as far as can be seen: a character may be cut where the head ends."""
    if b"\0" in head:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) >= size)
    except UnicodeDecodeError:
        return False
    return True


def is_svg(head: bytes, size: int) -> bool:
    return (b"<svg" in head or b":svg" in head) and is_text(head, size)


def program_type(head: bytes, size: int) -> str | None:
    """The type of a program that an operating system or an interpreter would run; None of anything else."""
    if head.startswith(b"\x7fELF"):
        return "application/x-executable"
    if head.startswith((b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")):
        return "application/x-mach-binary"
    if head.startswith(b"\xca\xfe\xba\xbe"):
        return "application/java-vm"
    if head.startswith(b"\0asm"):
        return "application/wasm"
    if head.startswith(b"#!") and head[2:64].lstrip(b" \t").startswith(b"/"):
        return "text/x-shellscript"
    return "application/vnd.microsoft.portable-executable" if _is_portable_executable(head, size) else None


def _is_portable_executable(head: bytes, size: int) -> bool:
    """https://learn.microsoft.com/en-us/windows/win32/debug/pe-format: 0x3c says where the second header is."""
    if not head.startswith(b"MZ") or len(head) < 64:
        return False
    offset = int.from_bytes(head[0x3C:0x40], "little")
    return offset < size and (offset + 2 > len(head) or head[offset : offset + 2] in (b"PE", b"NE", b"LE", b"LX"))


def _is_id3(head: bytes) -> bool:
    """https://id3.org/id3v2.4.0-structure §3.1: versions 2 to 4, and a size whose bytes have seven bits each."""
    return head.startswith(b"ID3") and head[3:4] in (b"\2", b"\3", b"\4") and len(head) > 10 and max(head[6:10]) < 0x80


def _mp3_frame_bytes(header: bytes) -> int | None:
    """How long the frame with this four-byte header is; None when it is no header of MPEG audio."""
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    rate, frequency, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 0 or rate in (0, 15) or frequency == 3:
        return None
    bits = _MP3_KILOBITS[max(version, 2), layer][rate - 1] * 1000
    hertz = _MP3_HERTZ[version][frequency]
    if layer == 3:
        return (12 * bits // hertz + padding) * 4
    samples = 576 if layer == 1 and version != 3 else 1152
    return samples // 8 * bits // hertz + padding


def _zip_entries(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and first 255 stored bytes of each entry of an archive, as far as each says where the next one is."""
    start = 0
    for _ in range(_MOST_ZIP_ENTRIES):
        if head[start : start + 4] != b"PK\x03\x04" or start + 30 > len(head):
            return
        compressed = int.from_bytes(head[start + 18 : start + 22], "little")
        name_end = start + 30 + int.from_bytes(head[start + 26 : start + 28], "little")
        data = name_end + int.from_bytes(head[start + 28 : start + 30], "little")
        yield head[start + 30 : name_end], head[data : data + min(compressed, 255)]
        start = data + compressed


# Of one container, or of one kind of sound.
FILM_TYPES: Final = (
    *("video/mp4", "audio/mp4", "video/x-m4v", "audio/x-m4a", "audio/m4a"),
    *("video/3gpp", "video/3gpp2", "audio/3gpp", "audio/3gpp2"),
)
MP3_TYPES: Final = ("audio/mpeg", "audio/mp3")
WAVE_TYPES: Final = ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")
FLAC_TYPES: Final = ("audio/flac", "audio/x-flac")
OGG_TYPES: Final = ("audio/ogg", "video/ogg", "application/ogg", "audio/opus")
_OLE = begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")

# By type. The first type of those that share a rule names it in sentences.
RULES: Final[dict[str, Rule]] = {
    "image/jpeg": begins(b"\xff\xd8\xff"),
    **dict.fromkeys(("image/png", "image/apng"), begins(b"\x89PNG\r\n\x1a\n")),
    "image/gif": begins(b"GIF87a", b"GIF89a"),
    "image/webp": riff(b"WEBP"),
    "image/avif": still(_AVIF),
    **dict.fromkeys(("image/heic", "image/heic-sequence"), still(_HEIC)),
    **dict.fromkeys(("image/heif", "image/heif-sequence"), still(_HEIF)),
    **dict.fromkeys(("image/bmp", "image/x-ms-bmp"), begins(b"BM")),
    "image/tiff": begins(b"II*\0", b"MM\0*"),
    **dict.fromkeys(FILM_TYPES, is_film),
    "video/quicktime": is_quicktime,
    **dict.fromkeys(MP3_TYPES, is_mp3),
    **dict.fromkeys(WAVE_TYPES, riff(b"WAVE")),
    **dict.fromkeys(FLAC_TYPES, begins(b"fLaC")),
    **dict.fromkeys(OGG_TYPES, begins(b"OggS")),
    **dict.fromkeys(("video/webm", "audio/webm", "video/x-matroska", "audio/x-matroska"), is_matroska),
    **dict.fromkeys(("audio/aac", "audio/x-aac"), is_aac),
    "application/pdf": is_pdf,
    **dict.fromkeys(("application/zip", "application/x-zip-compressed"), is_zip),
    "application/epub+zip": opendocument("application/epub+zip"),
    **dict.fromkeys(("application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"), _OLE),
    "image/svg+xml": is_svg,
}
OFFICE_RULES: Final[tuple[tuple[str, Callable[[str], Rule]], ...]] = (
    ("application/vnd.openxmlformats-officedocument.", lambda _: is_openxml),
    ("application/vnd.oasis.opendocument.", opendocument),
)
RASTER_IMAGES: Final = frozenset(name for name in RULES if name.startswith("image/")) - {"image/svg+xml"}
