"""The smallest honest files of each type, built by hand, and ways to make others look like them."""

import io
import struct
import zipfile

from mediabucket_cli.demo_story.files import pdf, png

# What makes any bytes look like a file of a type that is allowed by default.
SIGNATURES = {
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\0\0\0\0WEBP",
    "video/mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "video/quicktime": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
    "audio/mp4": b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom",
    "audio/mpeg": b"ID3\x04\0\0\0\0\0\0",
    "application/pdf": b"%PDF-1.7\n",
}
# From here on a file loses its first bytes to the signature, and keeps its size.
_LARGE = 256
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""/></rdf:RDF>'
    b'</x:xmpmeta><?xpacket end="w"?>'
)
HTML = b"<!DOCTYPE html>\n<html><body><script>alert(document.domain)</script></body></html>\n"
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)" width="1" height="1"/>\n'
SCRIPT = b"#!/bin/sh\nrm -rf ~\n"
ELF = b"\x7fELF\2\1\1" + bytes(57)
PORTABLE_EXECUTABLE = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(60)


def dressed(content: bytes, mime_type: str) -> bytes:
    """Bytes that begin as a file of the type does; of the same size, unless there are but a few."""
    signature = SIGNATURES.get(mime_type, b"")
    if content.startswith(signature):
        return content
    return signature + (content[len(signature) :] if len(content) >= _LARGE else content)


def jpeg(width: int = 4, height: int = 3, *, orientation: int | None = None, metadata: bytes = b"") -> bytes:
    """Up to the scan: https://www.w3.org/Graphics/JPEG/itu-t81.pdf annex B, with Exif and XMP as asked for."""
    segments = [(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")]
    if orientation is not None:
        entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
        segments.append((0xE1, b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)))
    if metadata:
        segments.append((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + metadata))
    segments.append((0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"))
    body = b"".join(b"\xff" + bytes([mark]) + struct.pack(">H", len(data) + 2) + data for mark, data in segments)
    return b"\xff\xd8" + body + b"\xff\xda\0\x08\1\1\0\0\x3f\0\x7f\xff\xd9"


def gif(width: int = 4, height: int = 3) -> bytes:
    """https://www.w3.org/Graphics/GIF/spec-gif89a.txt"""
    frame = b",\0\0\0\0" + struct.pack("<HH", width, height) + b"\0\2\2\x4c\1\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\0\0\0\xff\xff\xff" + frame + b";"


def riff(form: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    body = form + b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp(width: int = 4, height: int = 3) -> bytes:
    """https://developers.google.com/speed/webp/docs/riff_container#extended_file_format"""
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return riff(b"WEBP", (b"VP8X", bytes(4) + canvas), (b"VP8 ", bytes(16)))


def box(kind: bytes, *content: bytes) -> bytes:
    """ISO/IEC 14496-12 §4.2"""
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + kind + body


def iso_media(brand: bytes, *compatible: bytes, seconds: float = 2.5, moov_first: bool = True) -> bytes:
    """A film without tracks, whose header says how long it lasts."""
    header = box(b"mvhd", bytes(12), struct.pack(">II", 1000, int(seconds * 1000)), bytes(80))
    parts = (box(b"moov", header), box(b"mdat", bytes(64)))
    ordered = parts if moov_first else parts[::-1]
    return box(b"ftyp", brand, bytes(4), *compatible) + b"".join(ordered)


def heif(brand: bytes, *compatible: bytes, width: int = 4, height: int = 3, quarter_turns: int | None = None) -> bytes:
    """One picture's properties, ISO/IEC 23008-12 §6.5."""
    properties = [box(b"ispe", struct.pack(">III", 0, width, height))]
    if quarter_turns is not None:
        properties.append(box(b"irot", bytes([quarter_turns])))
    meta = box(b"meta", bytes(4), box(b"iprp", box(b"ipco", *properties)))
    return box(b"ftyp", brand, bytes(4), *compatible) + meta + box(b"mdat", bytes(64))


def mp3(frames: int = 40, *, tag: bytes = b"") -> bytes:
    """MPEG-1 layer III, 128 kbit/s at 44.1 kHz: 417 bytes and 26 ms a frame."""
    identifier = b"ID3\x04\0\0" + bytes(3) + bytes([len(tag)]) + tag if tag else b""
    return identifier + (b"\xff\xfb\x90\x64" + bytes(413)) * frames


def wav(seconds: float = 1.5, *, claimed_bytes: int | None = None) -> bytes:
    """8 bit mono at 8 kHz."""
    samples = bytes([128]) * int(seconds * 8000)
    content = riff(b"WAVE", (b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)), (b"data", samples))
    if claimed_bytes is None:
        return content
    return content.replace(b"data" + struct.pack("<I", len(samples)), b"data" + struct.pack("<I", claimed_bytes), 1)


def flac(seconds: int = 3) -> bytes:
    """RFC 9639 §8.2: 44.1 kHz, one channel, 16 bits."""
    numbers = (44100 << 44) | (0 << 41) | (15 << 36) | seconds * 44100
    information = struct.pack(">HH", 4096, 4096) + bytes(6) + numbers.to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80\0\0\x22" + information


def ogg(seconds: int = 2) -> bytes:
    """RFC 7845: the two headers of Opus, and a page whose granule position is the end, at 48 kHz."""

    def page(number: int, flags: int, granule: int, packet: bytes) -> bytes:
        fixed = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, 1, number, 0)
        return fixed + bytes([1, len(packet)]) + packet

    head = b"OpusHead\1\1" + struct.pack("<HIhB", 0, 48000, 0, 0)
    tags = b"OpusTags" + bytes(8)
    return page(0, 2, 0, head) + page(1, 0, 0, tags) + page(2, 4, seconds * 48000, bytes(20))


def archive(*entries: tuple[str, bytes]) -> bytes:
    """A ZIP of stored entries."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as file:
        for name, content in entries:
            file.writestr(zipfile.ZipInfo(name), content)
    return memory.getvalue()


WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
OPEN_TEXT = "application/vnd.oasis.opendocument.text"

# One honest file of each type that has a rule, those of spec.DEFAULT_MIME_TYPES first.
SAMPLES = {
    "image/jpeg": jpeg(),
    "image/png": png(4, 3),
    "image/gif": gif(),
    "image/webp": webp(),
    "video/mp4": iso_media(b"isom", b"isom", b"iso2", b"avc1", b"mp41"),
    "video/quicktime": iso_media(b"qt  ", b"qt  "),
    "audio/mpeg": mp3(),
    "audio/mp4": iso_media(b"M4A ", b"M4A ", b"mp42", b"isom"),
    "application/pdf": pdf("Hello"),
    "image/avif": heif(b"avif", b"avif", b"mif1", b"miaf"),
    "image/heic": heif(b"heic", b"mif1", b"heic"),
    "image/heif": heif(b"mif1", b"mif1", b"heic"),
    "image/bmp": b"BM" + struct.pack("<IHHIIiiHH", 58, 0, 0, 54, 40, 4, 3, 1, 24) + bytes(28),
    "image/tiff": b"II*\0" + struct.pack("<IHHHIIHHII", 8, 2, 256, 4, 1, 4, 257, 4, 1, 3) + bytes(4),
    "audio/wav": wav(),
    "audio/flac": flac(),
    "audio/ogg": ogg(),
    "audio/aac": b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(16),
    "video/webm": b"\x1a\x45\xdf\xa3\x8b\x42\x82\x84webm\x42\x87\x81\4" + bytes(16),
    "application/zip": archive(("a.txt", b"a")),
    WORD: archive(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w:document/>")),
    OPEN_TEXT: archive(("mimetype", OPEN_TEXT.encode()), ("content.xml", b"<office/>")),
    "application/epub+zip": archive(("mimetype", b"application/epub+zip"), ("OEBPS/a.xhtml", HTML)),
    "application/msword": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504),
    "text/plain": "Grüße, 世界\n".encode(),
    "text/csv": b"a,b\r\n1,2\r\n",
    "application/json": b'{"a": 1}',
    "text/html": HTML,
    "image/svg+xml": SVG,
}
