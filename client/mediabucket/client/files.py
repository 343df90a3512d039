"""Files as they are read: in pieces, from several threads, and never whole in memory."""

import mimetypes
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from mediabucket.client.errors import FileChanged

CHUNK_BYTES: Final = 256 * 1024
UNKNOWN_TYPE: Final = "application/octet-stream"
# A path, or a binary file object that can be sought: it is read more than once.
File = str | os.PathLike[str] | BinaryIO

# Of no system's files, so that a name means the same everywhere; with what Python 3.11 does not know.
_TYPES: Final = mimetypes.MimeTypes()
for _type, _extension in (
    ("image/webp", ".webp"),
    ("image/avif", ".avif"),
    ("image/heic", ".heic"),
    ("image/heif", ".heif"),
    ("audio/mp4", ".m4a"),
    ("audio/flac", ".flac"),
    ("audio/ogg", ".ogg"),
    ("video/x-matroska", ".mkv"),
):
    _TYPES.add_type(_type, _extension)


@dataclass(frozen=True)
class Upload:
    """A file to upload, for `upload_many`. What is None follows from the file's name."""

    file: File
    file_name: str | None = None
    mime_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the service is told; "file" for a file object that has no name."""
        if self.file_name is not None:
            return self.file_name
        named = self.file if isinstance(self.file, (str, os.PathLike)) else getattr(self.file, "name", None)
        return Path(named).name if isinstance(named, (str, os.PathLike)) else "file"

    @property
    def type(self) -> str:
        """The MIME type."""
        return self.mime_type or guessed_type(self.name)


def guessed_type(name: str) -> str:
    """The MIME type that a file name's extension stands for."""
    guessed, encoding = _TYPES.guess_type(name, strict=False)
    return guessed if guessed is not None and encoding is None else UNKNOWN_TYPE


class Source:
    """The bytes of a file from where it stands to its end; `size` is how many. Use it as a context.

    Raises OSError, and ValueError for a file object that is of no use.
    """

    def __init__(self, file: File) -> None:
        self._ours = isinstance(file, (str, os.PathLike))
        self._file = _opened(file) if isinstance(file, (str, os.PathLike)) else _usable(file)
        self._lock = threading.Lock()
        self._start = self._file.tell()
        self.size = self._file.seek(0, os.SEEK_END) - self._start

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._ours:
            self._file.close()

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes; from any thread."""
        with self._lock:
            self._file.seek(self._start + offset)
            return self._file.read(count)

    def piece(self, start: int = 0, size: int | None = None) -> "Piece":
        return Piece(self, start, self.size - start if size is None else size)


@dataclass(frozen=True)
class Piece:
    """`size` bytes of a file from `start` on."""

    source: Source
    start: int
    size: int

    def read(self, offset: int) -> bytes:
        """The next bytes from an offset within the piece, at least one. Raises FileChanged, OSError."""
        chunk = self.source.read(self.start + offset, min(CHUNK_BYTES, self.size - offset))
        if not chunk:
            raise FileChanged(
                f"the file ends at byte {self.start + offset}, before its {self.source.size} bytes were read: it became"
                " shorter during the upload; upload it again"
            )
        return chunk


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    return Path(path).open("rb")


def _usable(file: BinaryIO) -> BinaryIO:
    if not file.seekable():
        raise ValueError("the file object cannot be sought, and it has to be read more than once: save it to a file")
    if not isinstance(file.read(0), bytes):
        raise ValueError("the file object yields text: open it in binary mode")
    return file
