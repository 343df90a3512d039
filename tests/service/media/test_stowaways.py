"""Pictures that some reader would take for something else, and honest pictures of every kind, which must pass."""

import io
import random
import struct
import zipfile
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from sample_files import XMP, archive, gif, jpeg
from service_platform import MakePlatform
from upload_client import File, UploadClient

from mediabucket_cli.demo_story.files import pdf, png
from mediabucket_service.media.sniffing import HEAD_BYTES, disagreement
from mediabucket_service.media.stowaways import TAIL_BYTES, in_picture

PICTURES = {"image/gif": gif(), "image/jpeg": jpeg(), "image/png": png(4, 3)}
RUN = archive(("META-INF/MANIFEST.MF", b"Main-Class: Evil"), ("Evil.class", b"\xca\xfe\xba\xbe"))
STOWAWAYS = {
    "ZIP": (RUN, "a ZIP archive"),
    "JavaScript in a tag": (b"<script>alert(1)</script>", "markup (<script>)"),
    "body": (b"<BODY onload=alert(1)>", "markup (<body)"),
    "image": (b"<img src=x onerror=alert(1)>", "markup (<img)"),
    "image with a slash": (b"<img/\xff/src=x onerror=alert(1)>", "markup (<img/"),
    "vector image": (b"<svg onload=alert(1)>", "markup (<svg)"),
    "object": (b"<object data=//evil>", "markup (<object)"),
    "embed": (b"<embed\nsrc=//evil>", "markup (<embed)"),
    "frame": (b"<iframe src=//evil>", "markup (<iframe)"),
    "PHP": (b"<?php system($_GET[0]); ?>", "markup (<?php)"),
    "JSP": (b'<%@ page import="java.io.*" %>', "markup (<%@ page)"),
    "UTF-16": ("<html><script>".encode("utf-16-le"), "markup (<html>)"),
    "UTF-16, big end first": ("<body onload=alert(1)>".encode("utf-16-be"), "markup (<body)"),
    "PDF": (pdf("Hello"), "a PDF"),
}


def verdict(content: bytes, mime_type: str) -> str | None:
    """As at confirm, which sees the ends only."""
    return disagreement(content[:HEAD_BYTES], len(content), mime_type, content[-TAIL_BYTES:])


@pytest.mark.parametrize("gap", [0, 60_000, 1_000_000], ids=["at once", "later", "beyond the head"])
@pytest.mark.parametrize("stowaway", STOWAWAYS)
@pytest.mark.parametrize("mime_type", PICTURES)
def test_a_picture_that_is_something_else_too_is_refused(mime_type: str, stowaway: str, gap: int) -> None:
    content, told = STOWAWAYS[stowaway]
    refused = verdict(PICTURES[mime_type] + bytes(gap) + content, mime_type)
    assert refused is not None
    assert refused.startswith(f"the file begins as {mime_type}, but contains {told}")


@pytest.mark.parametrize("comment", [0, 65_535], ids=["short", "with the longest comment"])
def test_an_archive_is_known_by_its_end_alone(comment: int) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as writing:
        writing.writestr("a", bytes(200_000))
        writing.comment = b" " * comment
    content = gif() + bytes(100_000) + made.getvalue()
    assert verdict(content, "image/gif") is not None
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["a"], "a reader finds it"


@pytest.mark.parametrize(
    ("mime_type", "content"),
    [
        pytest.param("image/gif", b"GIF89a=1;alert(1);//" + bytes(50), id="GIF, assignment"),
        pytest.param("image/gif", b"GIF89a/*" + bytes(50) + b"*/=1;alert(1)", id="GIF, comment"),
        pytest.param("image/gif", b"GIF87a//" + bytes(50) + b"\n=1;alert(1)", id="GIF, line of comment"),
        pytest.param("image/jpeg", b"\xff\xd8\xff\xe0/*JFIF" + bytes(50) + b"*/=1;alert(1)", id="JPEG, comment"),
    ],
)
def test_a_picture_that_is_a_script_too_is_refused(mime_type: str, content: bytes) -> None:
    told = f"the file begins as {mime_type}, but contains a script as well; a file must be of one type only"
    assert verdict(content, mime_type) == told


@pytest.mark.parametrize("width", [1, 16, 61, 317, 573, 1920, 7999, 8191])
def test_no_width_of_a_gif_that_anybody_makes_is_a_script(width: int) -> None:
    assert verdict(gif(width, width), "image/gif") is None


@pytest.mark.parametrize("name", [b"svg", b"IMG"])
def test_a_short_tag_needs_an_attribute(name: bytes) -> None:
    """By chance one picture in 130,000 holds one of them with the end of its name, and one in millions all of it."""
    for end in b" \t\n\r\f\v/":
        tag = b"<" + name + bytes([end])
        assert in_picture(b"\xff" + tag + b"\xfe\x90onload =") is not None
        assert in_picture(b"\xff" + tag + b"\xfe\x90\x91=\x92a=>\xfdonload=") is None


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(b"PK\3\4" + b"\xff" * 60, id="signature of an entry"),
        pytest.param(b"PK\3\4\x14\0\0\0\x08\0" + bytes(16) + b"\x05\0\0\0\1\2\3\4\5", id="name is not text"),
        pytest.param(b"PK\3\4\x14\0\0\0\x08\0" + bytes(50), id="no name"),
        pytest.param(b"PK\5\6" + b"\xff" * 60, id="signature of an end"),
        pytest.param(b"PK\5\6" + bytes(18), id="end of an empty archive"),
        pytest.param(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 46, 0, 9999), id="comment beyond the file"),
        pytest.param(b"<? <% <%= <?= <?phpx <bodyguard <images <objects", id="no tags"),
        pytest.param(XMP, id="XMP"),
        pytest.param(b"<svg:rect x='1'/><img:a b='1'/>", id="names with a prefix"),
    ],
)
def test_what_only_resembles_is_accepted(noise: bytes) -> None:
    for mime_type, picture in PICTURES.items():
        assert verdict(picture + noise, mime_type) is None
        assert verdict(picture + bytes(200_000) + noise, mime_type) is None


def test_compressed_bytes_hold_nothing() -> None:
    """Both ends of 2,000 pictures."""
    source = random.Random(2026)
    for _ in range(2000):
        assert in_picture(source.randbytes(HEAD_BYTES), source.randbytes(TAIL_BYTES)) is None


@pytest.mark.parametrize("made_as", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_pictures_of_a_real_encoder_pass(made_as: str) -> None:
    source = random.Random(made_as)
    for size in [(1, 1), (61, 47), (640, 480), (1280, 853)]:
        for image in (Image.frombytes("RGB", size, source.randbytes(3 * size[0] * size[1])), Image.new("RGB", size)):
            content = encoded(image, made_as)
            assert verdict(content, f"image/{made_as.lower()}") is None


def encoded(image: Image.Image, made_as: str) -> bytes:
    """With all the metadata that the format takes."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    text.add_text("Comment", "Created with an editor <https://example.org/?a=b>")
    exif = Image.Exif()
    exif[0x010E] = "a < b > c = d"
    described: dict[str, dict[str, Any]] = {
        "JPEG": {"xmp": XMP, "exif": exif, "comment": b"a < b"},
        "PNG": {"pnginfo": text, "exif": exif},
        "WEBP": {"xmp": XMP, "exif": exif},
        "GIF": {"comment": b"a < b", "xmp": XMP},
    }
    made = io.BytesIO()
    image.save(made, made_as, **described.get(made_as, {}))
    return made.getvalue()


@pytest.mark.parametrize("integrity", ["Verified", "Signed"])
async def test_confirm_looks_at_both_ends(make_platform: MakePlatform, integrity: str) -> None:
    """Of bytes that it streams, and of bytes that the store has hashed."""
    async with make_platform(uploads={"integrity": integrity}) as platform:
        alice = platform.user()
        honest = png(40, 30) + bytes(3_000_000)
        assert (await alice.upload(File(honest, as_is=True)))["status"] == "completed"
        refused = await refusal(alice, File(honest + RUN, as_is=True))
        assert refused.startswith("the file begins as image/png, but contains a ZIP archive as well")
        assert len(await platform.keys()) == 1


async def refusal(user: UploadClient, file: File) -> str:
    ticket = await user.begin(file)
    answer = await user.confirm(ticket["media_id"])
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:mediabucket:problem:upload-mismatch")
    return str(answer.json()["detail"])
