"""The controls of the page at `/` for who has no mouse, or does not see the screen."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import Browser, Page
from development_process import eventually
from page_platform import MEBIBYTE, STATES, PagePlatform, film, media_of, open_page, settled, slow_down, tab_to

pytestmark = pytest.mark.browser

PAUSED = "paused: a large file goes on where it was, a small one begins anew"
# The buttons of the uploads that are to be seen.
SHOWN = "[...document.querySelectorAll('#uploads button')].filter((one) => one.offsetHeight)"
# What the buttons of each upload say.
SAID = """[...document.querySelectorAll('#uploads li')].map((upload) =>
    [...upload.querySelectorAll('button')].filter((one) => one.offsetHeight).map((one) => one.innerText).join(', '))"""
FOCUSED = "document.activeElement.ariaLabel ?? document.activeElement.id ?? document.activeElement.tagName"


def accessible_names(page: Page) -> list[tuple[str, str]]:
    """Of each button in sight, what is written on it and what a screen reader says."""
    page.call("Accessibility.enable")
    page.evaluate(f"window.shown = {SHOWN}, null")
    written: list[str] = page.evaluate("shown.map((one) => one.innerText)")
    return [(text, _name(page, f"shown[{number}]")) for number, text in enumerate(written)]


def _name(page: Page, element: str) -> str:
    found = page.call("Runtime.evaluate", expression=element)["result"]["objectId"]
    node: dict[str, Any] = page.call("Accessibility.getPartialAXTree", objectId=found, fetchRelatives=False)["nodes"][0]
    assert node["role"]["value"] == "button"
    name: str = node["name"]["value"]
    return name


def assert_named_as_written(page: Page, *said: str) -> None:
    """WCAG 2.2, 2.5.3: what one says to press a button is what is written on it."""
    page.wait_for(f"JSON.stringify({SAID}) === JSON.stringify({list(said)!r})")
    named = accessible_names(page)
    assert [name for text, name in named] == [f"{text} film.mp4" for text, name in named]
    assert len(named) == sum(len(texts.split(", ")) for texts in said)


def focus_is(page: Page, name: str) -> None:
    page.wait_for(f"({FOCUSED}) === {name!r}")


def films(directory: Path, count: int) -> list[Path]:
    """Each another."""
    folders = [directory / str(number) for number in range(count)]
    for folder in folders:
        folder.mkdir()
    return [film(folder, 2 * MEBIBYTE) for folder in folders]


def announce(platform: PagePlatform, user: str, content: bytes) -> None:
    """From another device, which sends nothing yet."""
    headers = {"Authorization": f"Bearer {platform.running.token(user)}"}
    body = {"file_name": "far.png", "file_size": len(content), "mime_type": "image/png"}
    told = body | {"checksum": hashlib.sha256(content).hexdigest()}
    httpx.post(f"{platform.url}/api/media/upload/initiate", json=told, headers=headers).raise_for_status()


def test_every_button_is_called_what_is_written_on_it(browser: Browser, platform: PagePlatform, tmp_path: Path) -> None:
    page = open_page(browser, platform, "names")
    slow_down(page, 0.2)
    page.choose_file("#files", *films(tmp_path, 6))
    page.wait_for(f"JSON.stringify({STATES}) === JSON.stringify([...Array(4).fill('uploading'), 'waiting', 'waiting'])")
    assert_named_as_written(page, *["Pause, Cancel"] * 6)
    page.evaluate(f"{SHOWN}[0].click()")
    assert_named_as_written(page, "Resume, Cancel", *["Pause, Cancel"] * 5)
    slow_down(page, 0.2, offline=True)
    assert_named_as_written(page, "Resume, Cancel", *["Try again, Cancel"] * 5)
    slow_down(page, 100)
    assert_named_as_written(page, "Resume, Cancel", *["Remove"] * 5)
    page.evaluate(f"{SHOWN}[0].click()")
    assert_named_as_written(page, *["Remove"] * 6)


def test_an_upload_is_paused_resumed_and_cancelled_by_keyboard(
    browser: Browser, platform: PagePlatform, tmp_path: Path
) -> None:
    page = open_page(browser, platform, "hands")
    slow_down(page, 0.2)
    page.choose_file("#files", *films(tmp_path, 2))
    page.wait_for(f"{STATES}[0] === 'uploading'")
    tab_to(page, "[aria-label='Pause film.mp4']")
    page.press("Enter", "\r")
    focus_is(page, "Resume film.mp4")
    assert page.evaluate(STATES)[0] == PAUSED
    page.press(" ", " ")
    focus_is(page, "Pause film.mp4")
    page.wait_for(f"{STATES}[0] === 'uploading'")
    tab_to(page, "[aria-label='Cancel film.mp4']")
    page.press("Enter", "\r")
    page.wait_for("document.querySelectorAll('#uploads li').length === 1")
    focus_is(page, "Pause film.mp4")
    tab_to(page, "[aria-label='Cancel film.mp4']")
    page.press("Enter", "\r")
    focus_is(page, "files")
    page.wait_for("document.querySelector('#pending').hidden")
    # The page does not wait for the answers to its cancellations.
    eventually(lambda: {media["status"] for media in media_of(platform, "hands")} <= {"expired"}, "both are cancelled")


def test_an_upload_that_ends_does_not_take_the_focus_away(
    browser: Browser, platform: PagePlatform, tmp_path: Path
) -> None:
    """It stays with the upload, on nothing that a late key could press."""
    page = open_page(browser, platform, "ends")
    slow_down(page, 0.2)
    page.choose_file("#files", *films(tmp_path, 1))
    page.wait_for(f"{STATES}[0] === 'uploading'")
    tab_to(page, "[aria-label='Pause film.mp4']")
    slow_down(page, 100)
    settled(page, "uploaded")
    assert page.evaluate("document.activeElement.matches('#uploads li')")
    page.press("Enter", "\r")
    settled(page, "uploaded")
    tab_to(page, "[aria-label='Remove film.mp4']")
    page.press("Enter", "\r")
    focus_is(page, "files")


def test_pending_uploads_are_discarded_by_keyboard(browser: Browser, platform: PagePlatform) -> None:
    announce(platform, "discards", b"one")
    announce(platform, "discards", b"other")
    page = open_page(browser, platform, "discards")
    page.wait_for("document.querySelector('#pending-summary').textContent === '2 pending uploads'")
    tab_to(page, "#pending-summary")
    page.press("Enter", "\r")
    for left, told in ((1, "pending-summary"), (0, "files")):
        tab_to(page, "[aria-label='Discard far.png']")
        page.press("Enter", "\r")
        page.wait_for(f"document.querySelectorAll('#pending-list li').length === {left}")
        focus_is(page, told)
    assert page.evaluate("document.querySelector('#pending').hidden")
    assert {media["status"] for media in media_of(platform, "discards")} == {"expired"}


def test_a_message_is_sent_once_and_the_focus_stays(browser: Browser, platform: PagePlatform) -> None:
    """Enter pressed twice, as by a hand that trembles, before the first answer."""
    page = open_page(browser, platform, "once")
    tab_to(page, "#content")
    page.call("Input.insertText", text="only once")
    tab_to(page, "#send")
    page.press("Enter", "\r")
    page.press("Enter", "\r")
    page.wait_for("document.querySelector('#content').value === ''")
    page.wait_for("document.querySelector('#send').ariaDisabled === 'false'")
    focus_is(page, "send")
    own = "[...document.querySelectorAll('#messages li')].filter((one) => one.innerText.startsWith('once: ')).length"
    assert page.evaluate(own) == 1
