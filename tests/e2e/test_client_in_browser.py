"""The JavaScript client in a real browser: workers, upload progress, and the rules for pages of another origin."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, Page
from front_end import FrontEnd

from mediabucket_cli.development_platform import DevelopmentPlatform

MEBIBYTE = 1024**2
STORY = (Path(__file__).parent / "client_story.mjs").read_text()
UPLOADED = {"status": "completed", "checksum": True, "served": True, "ascending": True}

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, front_end: FrontEnd) -> Page:
    """Of another origin than the API, and allowed to call it."""
    return browser.open(front_end.allowed_origin)


def told(page: Page, product: DevelopmentPlatform, function: str, *arguments: object) -> dict[str, Any]:
    """What a function of the story answers on this page; the client is loaded from the service."""
    given = (f"{product.api_url}/client/mediabucket.js", product.api_url, product.token("browser"), *arguments)
    literals = ", ".join(json.dumps(argument) for argument in given)
    story = f"URL.createObjectURL(new Blob([{json.dumps(STORY)}], {{type: 'text/javascript'}}))"
    answer: dict[str, Any] = page.evaluate(f"import({story}).then((story) => story.{function}({literals}))")
    return answer


def slow_down(page: Page) -> None:
    """As over a good line: a browser tells of progress twenty times a second, and loopback is done by then."""
    page.call("Network.enable")
    speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": 20 * MEBIBYTE}
    page.call("Network.emulateNetworkConditions", offline=False, **speed)


def test_a_page_of_another_origin_uploads_with_a_worker_and_progress(page: Page, product: DevelopmentPlatform) -> None:
    slow_down(page)
    answer = told(page, product, "upload", 20 * MEBIBYTE)
    assert answer.pop("between") > 0
    assert answer == UPLOADED | {"worker": True}
    assert page.complaints() == []


def test_a_page_uploads_a_large_file_in_parts(page: Page, product: DevelopmentPlatform) -> None:
    answer = told(page, product, "upload", 70 * MEBIBYTE, "video/mp4")
    assert answer.pop("between") > 0
    assert answer == UPLOADED | {"worker": True}
    assert page.complaints() == []


def test_the_page_itself_hashes_where_no_worker_may(page: Page, product: DevelopmentPlatform) -> None:
    told(page, product, "forbidWorkers")
    answer = told(page, product, "upload", 6 * MEBIBYTE)
    answer.pop("between")
    assert answer == UPLOADED | {"worker": False}


def test_the_services_own_page_may_use_the_client(browser: Browser, product: DevelopmentPlatform) -> None:
    """Under its Content-Security-Policy, with a worker of its own origin."""
    page = browser.open(f"{product.api_url}/")
    given = json.dumps(product.token("browser"))
    answer = page.evaluate(
        "import('/client/mediabucket.js').then(({ createClient }) =>"
        f" createClient({{ baseUrl: location.origin, token: {given} }})"
        ".checksum(new Blob([new Uint8Array(6_000_000)])))"
    )
    assert answer == hashlib.sha256(bytes(6_000_000)).hexdigest()
    assert page.complaints() == []


def test_an_upload_is_aborted(page: Page, product: DevelopmentPlatform) -> None:
    slow_down(page)
    assert told(page, product, "abort") == {"name": "AbortError", "isReason": True}


def test_a_refusal_reaches_the_page_as_an_error_of_its_own(page: Page, product: DevelopmentPlatform) -> None:
    assert told(page, product, "refusal") == {
        "isTyped": True, "userMessage": "Files of this type cannot be uploaded here."
    }  # fmt: skip
