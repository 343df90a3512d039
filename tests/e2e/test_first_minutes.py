"""What a newcomer does: `mediabucket dev`, the address that it prints, a picture, a message."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from development_process import Dev, eventually
from page_platform import drop, pictures, settled

pytestmark = pytest.mark.browser

PRINTED = re.compile(r"^page +(\S+)$", re.MULTILINE)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    """With the manifest of the examples, as it is."""
    dev = Dev(tmp_path)
    dev.start("--port", "0")
    yield dev
    dev.kill()
    eventually(lambda: not dev.processes(), "the end of every process")


def test_the_printed_address_is_all_that_it_takes(browser: Browser, dev: Dev, tmp_path: Path) -> None:
    dev.wait_until_ready()
    eventually(lambda: PRINTED.search(dev.output) is not None, "the address of the page")
    [address] = PRINTED.findall(dev.output)
    page = browser.open(address)
    page.wait_for("document.querySelector('#who').textContent === 'Signed in as developer'")
    [picture] = pictures(tmp_path, 1)
    drop(page, picture)
    settled(page, "uploaded")
    page.evaluate("document.querySelector('#content').focus()")
    page.call("Input.insertText", text="my first picture")
    page.press("Enter", "\r")
    page.wait_for("document.querySelector('#messages img')?.naturalWidth === 64")
    assert "developer: my first picture" in page.evaluate("document.querySelector('#messages').innerText")
    assert page.complaints() == []
    assert dev.send(signal.SIGINT) == 0
