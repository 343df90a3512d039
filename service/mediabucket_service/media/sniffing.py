"""Whether the first bytes of a file are what its declared type says: pure functions, no I/O, nothing is decoded.

A type either has a rule, and then a file must keep it, or it has none, and then anything but markup and programs will
do. What a refused file looks like instead is told by the same rules, and by puremagic where they know nothing.
"""

import codecs
import re
from typing import Final

import puremagic

from mediabucket_service.media.signatures import OFFICE_RULES, RASTER_IMAGES, RULES, Rule, is_text, program_type
from mediabucket_service.media.stowaways import in_pdf, in_picture

HEAD_BYTES: Final = 64 * 1024
_TEXT_TYPES = frozenset(
    f"application/{name}" for name in ("ecmascript", "javascript", "json", "sql", "toml", "x-yaml", "xml", "yaml")
)
# What no picture, sound or film is, even where its own type has no rule.
_NEVER_MEDIA = frozenset({"application/zip", "application/pdf"})
# Too many bytes of every file match these for a guess.
_NOT_FOR_GUESSING = frozenset({"image/bmp", "audio/aac", "image/svg+xml"})
# puremagic's measure: a tenth for each byte that matches, at most 0.8.
_LEAST_CONFIDENCE = 0.4

# https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type
_PAGE = re.compile(
    r"<(?:!--|!doctype\s+html|(?:html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)(?:[\s/>]|\Z))"
)
_SVG = re.compile(r"<(?:\w+:)?svg[\s/>]")
_MARKUP_BYTES = 2048


def needs_tail(mime_type: str, size: int) -> bool:
    """Whether the last bytes of such a file are looked at, too, beside its head."""
    return mime_type.lower() in RASTER_IMAGES and size > HEAD_BYTES


def disagreement(head: bytes, size: int, mime_type: str, tail: bytes = b"") -> str | None:
    """What is wrong with a file of `size` bytes that begins with `head`, as a sentence for its uploader; None: nothing.

    `head`: the first HEAD_BYTES of the file, or all of a smaller one. `mime_type`: as announced, without parameters.
    `tail`: the last TAIL_BYTES where they are needed.
    """
    announced = mime_type.lower()
    rule = _rule(announced)
    if rule is None:
        return _unruled(head, size, announced)
    if not rule(head, size):
        return _sentence(_looks_like(head, size), announced)
    stowaway = _stowaway(head, tail, announced)
    if stowaway is not None:
        return f"the file begins as {announced}, but contains {stowaway} as well; a file must be of one type only"
    return None


def _rule(announced: str) -> Rule | None:
    known = RULES.get(announced)
    if known is not None:
        return known
    for prefix, rule_of in OFFICE_RULES:
        if announced.startswith(prefix):
            return rule_of(announced)
    textual = announced.startswith("text/") or announced.endswith(("+xml", "+json")) or announced in _TEXT_TYPES
    return is_text if textual else None


def _unruled(head: bytes, size: int, announced: str) -> str | None:
    found = _markup(head) or program_type(head, size)
    if found is None and announced.startswith(("image/", "audio/", "video/")):
        found = next((name for name in _NEVER_MEDIA if RULES[name](head, size)), None)
    return None if found in (None, announced) else _sentence(found, announced)


def _stowaway(head: bytes, tail: bytes, announced: str) -> str | None:
    if announced in RASTER_IMAGES:
        return in_picture(head, tail)
    return in_pdf(head) if announced == "application/pdf" else None


def _sentence(found: str | None, announced: str) -> str:
    if found is None or found == announced:
        return f"the file does not begin as {announced} does, but {announced} was announced"
    return f"the file looks like {found}, but {announced} was announced"


def _looks_like(head: bytes, size: int) -> str | None:
    return _markup(head) or program_type(head, size) or _ruled(head, size) or _guess(head) or _plain(head, size)


def _markup(head: bytes) -> str | None:
    """The type of a page or of XML, by what it begins with, as browsers look for it."""
    start = _decoded(head[:_MARKUP_BYTES]).lstrip().lower()
    if _SVG.match(start) or (start.startswith(("<?xml", "<!--", "<!doctype")) and _SVG.search(start)):
        return "image/svg+xml"
    if _PAGE.match(start):
        return "text/html"
    return "application/xml" if start.startswith("<?xml") else None


def _decoded(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return start.decode("utf-16", "replace")
    return start.removeprefix(codecs.BOM_UTF8).decode("latin-1")


def _ruled(head: bytes, size: int) -> str | None:
    return next((name for name, rule in RULES.items() if name not in _NOT_FOR_GUESSING and rule(head, size)), None)


def _guess(head: bytes) -> str | None:
    try:
        matches = puremagic.magic_string(head)
    except Exception:
        # Documented for what it does not know is PureError only; but nothing may come of a guess that failed.
        return None
    for match in matches:
        if match.offset >= 0 and match.confidence >= _LEAST_CONFIDENCE and match.mime_type:
            return str(match.mime_type)
    return None


def _plain(head: bytes, size: int) -> str | None:
    return "text/plain" if head and is_text(head, size) else None
