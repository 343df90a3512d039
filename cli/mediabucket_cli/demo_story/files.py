"""Files for the demo: made here, so that a fresh machine needs no download."""

import hashlib
import mimetypes
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FILM_BYTES = 25 * 1024**2


@dataclass(frozen=True)
class DemoFile:
    """A file as a front end holds it."""

    name: str
    mime_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def default_files() -> list[DemoFile]:
    """A picture, a PDF, and something the size of a short film."""
    return [
        DemoFile("gradient.png", "image/png", png(256, 256)),
        DemoFile("letter.pdf", "application/pdf", pdf("Hello from MediaBucket")),
        DemoFile("film.mp4", "video/mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + os.urandom(FILM_BYTES - 24)),
    ]


def read_file(path: Path) -> DemoFile:
    """A file of the user's, with the type that a browser would give it. Raises OSError."""
    mime_type, _ = mimetypes.guess_type(path.name)
    return DemoFile(path.name, mime_type or "application/octet-stream", path.read_bytes())


def png(width: int, height: int) -> bytes:
    """A colour gradient."""
    rows = [
        bytes(value for x in range(width) for value in (x * 255 // width, y * 255 // height, 128))
        for y in range(height)
    ]
    return png_of(rows)


def png_of(rows: Sequence[bytes], *extra: bytes) -> bytes:
    """A PNG of these rows, each with three bytes a pixel, and of further chunks: https://www.w3.org/TR/png-3/"""
    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + b"".join((png_chunk(b"IHDR", header), pixels, *extra, png_chunk(b"IEND", b"")))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Length, type, data, CRC-32 of type and data."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pdf(text: str) -> bytes:
    """One page with one line of text (ISO 32000-1)."""
    stream = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    document, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(document))
        document += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return document + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, len(document))
    )
