"""What the page at `/` is tried on: the product as `mediabucket dev` runs it, pictures, and how colours contrast."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Self

import httpx
import yaml
from browser import Browser, Page

from mediabucket_cli.demo_story.files import png_of
from mediabucket_cli.development_platform import DevelopmentPlatform

Colour = tuple[float, float, float]
MEBIBYTE = 1024**2
# What is told of each upload, as JavaScript.
STATES = "[...document.querySelectorAll('#uploads .state')].map((state) => state.textContent)"


# What a drop brings: https://html.spec.whatwg.org/multipage/dnd.html
_DROP = """((name, bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
    document.querySelector("#drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
})"""


@dataclass
class PagePlatform:
    """`mediabucket dev`, whose own page may upload."""

    running: DevelopmentPlatform
    file: Path

    @classmethod
    @contextmanager
    def start(cls, directory: Path) -> Iterator[Self]:
        file = directory / "manifest.yaml"
        _write(file, [], {})
        with DevelopmentPlatform(file, directory / "data", port=0, durable=False) as running:
            platform = cls(running, file)
            platform._apply([platform.url], {})
            yield platform

    @property
    def url(self) -> str:
        return self.running.api_url

    @contextmanager
    def manifest(self, *, origins: list[str] | None = None, uploads: dict[str, Any] | None = None) -> Iterator[None]:
        """Another manifest for a while."""
        self._apply([self.url] if origins is None else origins, uploads or {})
        try:
            yield
        finally:
            self._apply([self.url], {})

    def _apply(self, origins: list[str], uploads: dict[str, Any]) -> None:
        _write(self.file, origins, uploads)
        self.running.apply_manifest()


def _write(file: Path, origins: list[str], uploads: dict[str, Any]) -> None:
    spec = {"storeRef": {"name": "embedded"}, "cors": {"allowedOrigins": origins}, "uploads": uploads}
    document = {
        "apiVersion": "mediabucket.dev/v1alpha1",
        "kind": "MediaBucket",
        "metadata": {"name": "page"},
        "spec": spec,
    }
    file.write_text(yaml.safe_dump(document))


def open_page(browser: Browser, platform: PagePlatform, user: str) -> Page:
    return browser.open(f"{platform.url}/#token={platform.running.token(user)}")


def drop(page: Page, picture: Path) -> None:
    """A PNG, from the desktop onto the page."""
    page.evaluate(f"{_DROP}({picture.name!r}, {list(picture.read_bytes())})")


def slow_down(page: Page, megabytes: float, *, offline: bool = False) -> None:
    """What is sent, in megabytes a second."""
    page.call("Network.enable")
    speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": megabytes * MEBIBYTE}
    page.call("Network.emulateNetworkConditions", offline=offline, **speed)


def settled(page: Page, *states: str) -> None:
    """Wait until this is told of the uploads, in their order."""
    page.wait_for(f"JSON.stringify({STATES}) === JSON.stringify({list(states)!r})")


def tab_to(page: Page, selector: str) -> None:
    """By the keyboard, from wherever one is."""
    for _ in range(20):
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            outline: str = page.evaluate(
                "getComputedStyle(document.activeElement.closest('#drop') ?? document.activeElement).outlineStyle"
            )
            assert outline == "solid", "one sees where one is"
            return
        page.press("Tab")
    raise AssertionError(f"no Tab reaches {selector}")


def media_of(platform: PagePlatform, user: str) -> list[dict[str, Any]]:
    """All media of a user, newest first."""
    headers = {"Authorization": f"Bearer {platform.running.token(user)}"}
    found: list[dict[str, Any]] = []
    parameters: dict[str, str] = {"limit": "100"}
    while True:
        page = httpx.get(f"{platform.url}/api/media", params=parameters, headers=headers).raise_for_status().json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        parameters["cursor"] = page["next_cursor"]


def arrived_parts(platform: PagePlatform, user: str, media_id: str) -> set[int]:
    """The numbers of the parts that the store has."""
    headers = {"Authorization": f"Bearer {platform.running.token(user)}"}
    told = httpx.get(f"{platform.url}/api/media/{media_id}/parts", headers=headers).raise_for_status().json()
    return {part["part_number"] for part in told["parts"] if part["arrived"]}


def pictures(directory: Path, count: int, scale: int = 1) -> list[Path]:
    """PNGs of 64 x 48, or `scale` times that, each a sunset in colours of its own; for each directory others."""
    dice = Random(str(directory))
    files = [directory / f"picture-{number}.png" for number in range(1, count + 1)]
    for file in files:
        file.write_bytes(_sunset(64 * scale, 48 * scale, _near(dice, 50, 80, 150), _near(dice, 215, 140, 90)))
    return files


def _near(dice: Random, *channels: int) -> bytes:
    return bytes(channel + dice.randrange(-40, 41) for channel in channels)


def plan(directory: Path) -> Path:
    """A document of one line."""
    file = directory / "plan.pdf"
    file.write_bytes(b"%PDF-1.4 of " + str(directory).encode())
    return file


def film(directory: Path, size: int) -> Path:
    """What begins like an MP4, and has nothing in it."""
    file = directory / "film.mp4"
    head = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + str(directory).encode()
    file.write_bytes(head.ljust(size, b"\0"))
    return file


def _sunset(width: int, height: int, above: bytes, below: bytes) -> bytes:
    def row(share: float) -> bytes:
        return bytes(round(one + (other - one) * share) for one, other in zip(above, below, strict=True)) * width

    return png_of([row(number / height) for number in range(height)])


def colours(page: Page, selectors: list[str]) -> dict[str, tuple[Colour, Colour]]:
    """The text's colour and the nearest ground's behind it."""
    script = """(selector) => {
        const found = document.querySelector(selector);
        let ground = found;
        while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
        const numbers = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
        return [numbers(getComputedStyle(found).color), numbers(getComputedStyle(ground).backgroundColor)];
    }"""
    return {selector: page.evaluate(f"({script})({selector!r})") for selector in selectors}


def contrast(read: dict[str, tuple[Colour, Colour]]) -> dict[str, float]:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    return {selector: _ratio(*pair) for selector, pair in read.items()}


def _ratio(one: Colour, other: Colour) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    channels = [value / 255 for value in colour]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
