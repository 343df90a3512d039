"""Whether a file is of the type that was announced, by its first bytes."""

import random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sample_files import (
    ELF,
    HTML,
    OPEN_TEXT,
    PORTABLE_EXECUTABLE,
    SAMPLES,
    SCRIPT,
    SIGNATURES,
    SVG,
    WORD,
    XMP,
    archive,
    dressed,
    gif,
    heif,
    iso_media,
    jpeg,
    mp3,
)

from mediabucket_api.spec import DEFAULT_MIME_TYPES
from mediabucket_cli.demo_story.files import pdf, png
from mediabucket_service.media.signatures import RULES
from mediabucket_service.media.sniffing import HEAD_BYTES, disagreement

NO_RULE = ("application/octet-stream", "application/x-7z-compressed", "image/x-icon", "audio/midi", "video/x-msvideo")
MEDIA = [*(name for name in DEFAULT_MIME_TYPES if not name.endswith("pdf")), "image/x-icon", "audio/midi", "video/mpeg"]
ATTACKS = {
    "text/html": HTML,
    "image/svg+xml": SVG,
    "text/x-shellscript": SCRIPT,
    "application/x-executable": ELF,
    "application/vnd.microsoft.portable-executable": PORTABLE_EXECUTABLE,
    "application/zip": archive(("a.txt", b"a")),
}


def verdict(content: bytes, mime_type: str) -> str | None:
    """As at confirm, which sees the head only."""
    return disagreement(content[:HEAD_BYTES], len(content), mime_type)


def test_there_is_a_sample_of_every_type_that_is_allowed_by_default() -> None:
    assert set(DEFAULT_MIME_TYPES) == set(SIGNATURES)
    assert set(DEFAULT_MIME_TYPES) <= set(SAMPLES)


@pytest.mark.parametrize("mime_type", SAMPLES)
def test_an_honest_file_is_accepted_large_or_small(mime_type: str) -> None:
    content = SAMPLES[mime_type]
    assert verdict(content, mime_type) is None
    assert verdict(content, mime_type.upper()) is None
    filler = b"\n" if mime_type.startswith("text/") or mime_type.endswith(("json", "xml")) else b"\0"
    assert verdict(content + filler * HEAD_BYTES, mime_type) is None


@pytest.mark.parametrize("announced", DEFAULT_MIME_TYPES)
@pytest.mark.parametrize("actual", DEFAULT_MIME_TYPES)
def test_every_default_type_is_told_from_every_other_but_for_sound_and_film_in_one_container(
    actual: str, announced: str
) -> None:
    one_container = {"video/mp4", "video/quicktime", "audio/mp4"}
    if actual == announced or {actual, announced} <= one_container:
        assert verdict(SAMPLES[actual], announced) is None
    else:
        looks_like = "video/mp4" if actual in one_container else actual
        assert verdict(SAMPLES[actual], announced) == f"the file looks like {looks_like}, but {announced} was announced"


@pytest.mark.parametrize("announced", MEDIA)
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_page_program_or_archive_passes_as_picture_sound_or_film(attack: str, announced: str) -> None:
    assert verdict(ATTACKS[attack], announced) == f"the file looks like {attack}, but {announced} was announced"


@pytest.mark.parametrize("announced", NO_RULE)
def test_a_type_without_a_rule_is_anything_but_markup_and_programs(announced: str) -> None:
    assert announced not in RULES
    for content in (b"hello", bytes(100), random.Random(1).randbytes(1000), "Grüße".encode("latin-1")):
        assert verdict(content, announced) is None
    for attack in ATTACKS:
        if attack != "application/zip":
            assert verdict(ATTACKS[attack], announced) is not None


def test_what_the_manifest_allows_by_name_is_accepted_as_that() -> None:
    for mime_type, content in ATTACKS.items():
        assert verdict(content, mime_type) is None


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(b"\xef\xbb\xbf" + HTML, id="byte order mark"),
        pytest.param(b"\r\n\t  " + HTML, id="white space"),
        pytest.param(b"<!-- GIF89a -->" + HTML, id="comment"),
        pytest.param(b"\xff\xfe" + HTML.decode().encode("utf-16-le"), id="UTF-16"),
        pytest.param(b"\xfe\xff" + HTML.decode().encode("utf-16-be"), id="UTF-16, big end first"),
        pytest.param(b"<ScRiPt>alert(1)</sCrIpT>", id="script"),
        pytest.param(b"<b>bold</b>", id="fragment"),
        pytest.param(b"<body/onload=alert(1)>", id="slash"),
    ],
)
@pytest.mark.parametrize("announced", ["image/png", "video/mp4", "application/octet-stream"])
def test_a_page_is_known_however_it_begins(page: bytes, announced: str) -> None:
    assert verdict(page, announced) == f"the file looks like text/html, but {announced} was announced"


POLYGLOTS = [b"<script>", b"<SCRIPT src=//evil>", b"<html>", b"<!DOCTYPE html>", b"<svg/onload=alert(1)>", b"<iframe "]


@pytest.mark.parametrize("stowaway", POLYGLOTS)
@pytest.mark.parametrize(
    ("mime_type", "content"),
    [
        ("image/gif", b"GIF89a/*"),
        ("image/jpeg", jpeg()),
        ("image/png", png(4, 3)),
        ("image/webp", SAMPLES["image/webp"]),
        ("image/avif", SAMPLES["image/avif"]),
        ("application/pdf", pdf("Hello")),
    ],
)
def test_a_page_behind_the_header_of_a_picture_or_a_pdf_is_refused(
    mime_type: str, content: bytes, stowaway: bytes
) -> None:
    for gap in (0, 60_000):
        told = verdict(content + bytes(gap) + stowaway + b"alert(1)", mime_type)
        assert told is not None
        assert told.startswith(f"the file begins as {mime_type}, but contains markup (<")


def test_a_page_in_the_comment_of_a_jpeg_is_refused() -> None:
    assert verdict(jpeg(metadata=b"<html><body>"), "image/jpeg") is not None


def test_a_pdf_inside_a_picture_is_refused_and_inside_a_pdf_is_not() -> None:
    told = "the file begins as image/jpeg, but contains a PDF as well; a file must be of one type only"
    assert verdict(jpeg() + pdf("Hello"), "image/jpeg") == told
    assert verdict(pdf("Hello") + pdf("attached"), "application/pdf") is None


def test_a_photographs_metadata_is_no_page() -> None:
    picture = jpeg(orientation=6, metadata=XMP)
    assert verdict(picture, "image/jpeg") is None
    assert verdict(png(4, 3)[:-12] + XMP, "image/png") is None
    assert verdict(picture + b"<svg:rect <html5 <scripts <iframes", "image/jpeg") is None


@pytest.mark.parametrize("name", [b"body", b"HTML", b"Script", b"iframe"])
def test_only_a_whole_tag_makes_a_picture_a_page(name: bytes) -> None:
    """One picture in a million holds `<html` by chance, whatever follows it."""
    noise = b"\xfe" + random.Random(20).randbytes(1000)
    ends = {
        following
        for following in range(256)
        if verdict(gif() + noise + b"<" + name + bytes([following]) + noise, "image/gif") is not None
    }
    assert ends == set(b" \t\n\r\f\v/>")
    assert verdict(gif() + noise + b"<" + name, "image/gif") is not None


@pytest.mark.parametrize(
    ("content", "accepted"),
    [
        pytest.param(iso_media(b"isom", b"isom"), {"video/mp4", "audio/mp4", "video/quicktime"}, id="film"),
        pytest.param(iso_media(b"XYZ9", b"mp42"), {"video/mp4", "audio/mp4", "video/quicktime"}, id="compatible brand"),
        pytest.param(iso_media(b"XYZ9"), set(), id="unknown brand"),
        pytest.param(heif(b"avif", b"avif", b"mif1"), {"image/avif", "image/heif"}, id="AVIF"),
        pytest.param(heif(b"heic", b"mif1"), {"image/heic", "image/heif"}, id="HEIC"),
        pytest.param(heif(b"msf1", b"hevc", b"iso8", b"mp41"), {"image/heic", "image/heif"}, id="moving HEIC"),
        pytest.param(b"\0\0\0\x08ftyp", set(), id="no brand"),
        pytest.param(b"\0\0\0\x08wide\0\0\0\x10mdat", {"video/quicktime"}, id="QuickTime without brands"),
    ],
)
def test_brands_tell_pictures_from_films(content: bytes, accepted: set[str]) -> None:
    asked = {"video/mp4", "audio/mp4", "video/quicktime", "image/avif", "image/heic", "image/heif"}
    assert {mime_type for mime_type in asked if verdict(content, mime_type) is None} == accepted


@pytest.mark.parametrize(
    ("content", "accepted"),
    [
        pytest.param(mp3(), True, id="frames"),
        pytest.param(mp3(1), True, id="one frame"),
        pytest.param(bytes(100) + mp3(), True, id="padding"),
        pytest.param(mp3(tag=b"TIT2"), True, id="ID3"),
        pytest.param(b"\xff\xf3\x14\xc4" + bytes(20) + b"\xff\xf3\x14\xc4" + bytes(20), True, id="MPEG-2, 24 bytes"),
        pytest.param(b"\xff\xfd\x10\xc4" + bytes(100), True, id="layer II"),
        pytest.param(b"\xff\xff\x10\xc4" + bytes(28) + b"\xff\xff\x10\xc4" + bytes(28), True, id="layer I, 32 bytes"),
        pytest.param(b"\xff\xfb\x90\x64" + HTML, False, id="sync word before a page"),
        pytest.param(b"\xff\xfb\x90\x64" + bytes(413) + HTML, False, id="frame before a page"),
        pytest.param(b"ID3" + HTML, False, id="ID3 before a page"),
        pytest.param(b"\xff\xf1\x50\x80" + bytes(500), False, id="AAC"),
        pytest.param(b"\xff\xfe" + "text".encode("utf-16-le") * 300, False, id="UTF-16 text"),
    ],
)
def test_mpeg_audio_is_a_tag_or_frames(content: bytes, accepted: bool) -> None:
    assert (verdict(content, "audio/mpeg") is None) == accepted


@pytest.mark.parametrize(
    ("content", "announced", "accepted"),
    [
        pytest.param(archive(("_rels/.rels", b"x")), WORD, True, id="relations first"),
        pytest.param(archive(("a.exe", b"MZ")), WORD, False, id="no document"),
        pytest.param(archive(("mimetype", b"application/epub+zip")), OPEN_TEXT, False, id="another kind of document"),
        pytest.param(SAMPLES[WORD], "application/zip", True, id="a document is a ZIP"),
        pytest.param(b"PK\3\4" + b"\xff" * 26, WORD, False, id="entry beyond the head"),
    ],
)
def test_office_documents_are_archives_that_say_so(content: bytes, announced: str, accepted: bool) -> None:
    assert (verdict(content, announced) is None) == accepted


@pytest.mark.parametrize(
    ("content", "accepted"),
    [
        pytest.param("é".encode() * HEAD_BYTES, True, id="long"),
        pytest.param(b"x" + "é".encode() * HEAD_BYTES, True, id="character cut by the end of the head"),
        pytest.param("é".encode()[:1], False, id="character cut by the end of the file"),
        pytest.param("é".encode("latin-1") + b"t\xe9", False, id="latin-1"),
        pytest.param(b"a\0b", False, id="NUL"),
        pytest.param(b"\xef\xbb\xbftext", True, id="byte order mark"),
        pytest.param(HTML, True, id="a page is text"),
    ],
)
@pytest.mark.parametrize("announced", ["text/plain", "text/csv", "application/json", "application/gpx+xml"])
def test_text_is_utf_8_without_nul(content: bytes, announced: str, accepted: bool) -> None:
    assert (verdict(content, announced) is None) == accepted


def test_what_looks_like_nothing_is_refused_without_a_guess() -> None:
    told = "the file does not begin as image/png does, but image/png was announced"
    assert verdict(b"\x80\x81\x82\x83", "image/png") == told
    assert verdict(b"\x89PNG", "image/png") == told
    assert verdict(b"", "image/png") == told


def test_a_guess_is_told_where_only_the_library_knows() -> None:
    told = "the file looks like application/x-rar-compressed, but image/png was announced"
    assert verdict(b"Rar!\x1a\x07\0" + bytes(30), "image/png") == told


def test_nothing_is_guessed_from_where_the_head_happens_to_end() -> None:
    """The library looks for the last bytes of a film, too, and of a head it has no such."""
    content = (b"\x80" * HEAD_BYTES)[:-4] + b"\0\0\1\xb7" + b"\x80"
    assert verdict(content, "image/png") == "the file does not begin as image/png does, but image/png was announced"


def test_a_library_that_fails_means_not_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr("puremagic.magic_string", fail)
    told = "the file does not begin as image/png does, but image/png was announced"
    assert verdict(b"Rar!\x1a\x07\0" + bytes(30), "image/png") == told


def test_only_what_would_run_is_a_program() -> None:
    for content in (b"MZ", b"MZ" + b"\xff" * 100, b"#!important", b"#! hello", b"MZ" + bytes(100)):
        assert verdict(content, "application/octet-stream") is None
    beyond_the_head = b"MZ" + bytes(58) + (HEAD_BYTES + 10).to_bytes(4, "little") + bytes(HEAD_BYTES)
    assert verdict(beyond_the_head, "application/octet-stream") is not None


HEADS = st.one_of(
    st.binary(max_size=600),
    st.builds(lambda start, rest: start + rest, st.sampled_from([*SIGNATURES.values(), HTML, SVG, ELF]), st.binary()),
    st.builds(
        lambda content, at, change: content[:at] + change + content[at + len(change) :],
        st.sampled_from(list(SAMPLES.values())),
        st.integers(0, 80),
        st.binary(max_size=8),
    ),
)


@given(head=HEADS, more=st.integers(0, 2**53), mime_type=st.sampled_from([*RULES, *SAMPLES, *NO_RULE, "x/y", ""]))
@example(head=b"", more=0, mime_type="image/png")
@example(head=b"\xff", more=0, mime_type="audio/aac")
def test_no_bytes_whatever_raise(head: bytes, more: int, mime_type: str) -> None:
    told = disagreement(head, len(head) + more, mime_type)
    assert told is None or told.startswith("the file ")


@given(content=st.binary(min_size=1, max_size=600), mime_type=st.sampled_from(DEFAULT_MIME_TYPES))
def test_dressed_bytes_pass_in_tests(content: bytes, mime_type: str) -> None:
    """What every other test of uploads relies on."""
    assume(b"<" not in content and b"%PDF-" not in content)
    made = dressed(content, mime_type)
    assert dressed(made, mime_type) == made
    assert len(content) < 256 or len(made) == len(content)
    assert verdict(made, mime_type) is None
