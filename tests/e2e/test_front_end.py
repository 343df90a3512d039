"""A chat app's front end, its code unchanged, in Node and in a browser page of another origin than API and store."""

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from browser import Browser, Page
from front_end import FRONT_END, FrontEnd, readme_module
from upload_client import File

from mediabucket_cli.demo_story.files import png
from mediabucket_cli.development_platform import DevelopmentPlatform

STORY = {
    "exists": [False, True],
    "statuses": [200, 200, 200],
    "sameMedia": True,
    "sameBytes": True,
    "name": "Füße 🎉 (1).png",
    "type": "image/png",
}
README_FILE = File(b"as the README says", "readme.png")
README_BYTES = f"new Uint8Array({list(README_FILE.content)})"
A_FILE = f"new File([{README_BYTES}], {README_FILE.name!r}, {{type: {README_FILE.mime_type!r}}})"


def run_in_node(node: str, script: str) -> Any:
    """What an asynchronous JavaScript expression is worth."""
    program = f"console.log(JSON.stringify(await ({script})))"
    command = [node, "--input-type=module", "--eval", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def imported(module: str, function: str, *arguments: object) -> str:
    """A JavaScript call of a function of a module; the arguments become literals."""
    literals = ", ".join(json.dumps(argument) for argument in arguments)
    return f"import({json.dumps(module)}).then((module) => module.{function}({literals}))"


def as_in_the_readme(module: str, product: DevelopmentPlatform, user: str) -> str:
    api, token = json.dumps(product.api_url), json.dumps(product.token(user))
    return f"import({json.dumps(module)}).then((module) => module.upload({api}, {token}, {A_FILE}))"


def ask(product: DevelopmentPlatform, user: str, path: str) -> Any:
    headers = {"Authorization": f"Bearer {product.token(user)}"}
    return httpx.get(product.api_url + path, headers=headers, timeout=30).raise_for_status().json()


def assert_is_shown(product: DevelopmentPlatform, user: str, media_id: str) -> None:
    """The README's message has the media, and the media's URL has the bytes."""
    messages = ask(product, user, "/api/messages?conversation_id=general")["items"]
    [media] = next(message["media"] for message in messages if message["media_ids"] == [media_id])
    assert httpx.get(media["url"], timeout=30).content == README_FILE.content


def test_the_front_ends_code_runs_in_node(node: str, product: DevelopmentPlatform) -> None:
    call = imported(FRONT_END.as_uri(), "story", product.api_url, product.token("node"), "node")
    assert run_in_node(node, call) == STORY


def test_the_readmes_code_runs_in_node(node: str, product: DevelopmentPlatform, tmp_path: Path) -> None:
    module = tmp_path / "readme.mjs"
    module.write_text(readme_module())
    assert_is_shown(product, "node", run_in_node(node, as_in_the_readme(module.as_uri(), product, "node")))


@pytest.mark.browser
def test_the_front_ends_code_runs_in_a_page_of_another_origin(
    browser: Browser, front_end: FrontEnd, product: DevelopmentPlatform
) -> None:
    page = browser.open(front_end.allowed_origin)
    assert page.evaluate("location.origin") == front_end.allowed_origin
    call = imported("/front_end.mjs", "story", product.api_url, product.token("browser"), "browser")
    assert page.evaluate(call) == STORY
    assert page.complaints() == []


@pytest.mark.browser
def test_the_readmes_code_runs_in_a_page_of_another_origin(
    browser: Browser, front_end: FrontEnd, product: DevelopmentPlatform
) -> None:
    page = browser.open(front_end.allowed_origin)
    assert_is_shown(product, "browser", page.evaluate(as_in_the_readme("/readme.mjs", product, "browser")))
    assert page.complaints() == []


def announced(product: DevelopmentPlatform, token: str, file: File) -> dict[str, Any]:
    """The ticket of a new upload."""
    answer = httpx.post(
        f"{product.api_url}/api/media/upload/initiate",
        headers={"Authorization": f"Bearer {token}"},
        json=file.announcement(),
    )
    ticket: dict[str, Any] = answer.raise_for_status().json()
    return ticket


def confirmed(product: DevelopmentPlatform, token: str, media_id: str) -> dict[str, Any]:
    """The media, or the problem that confirming it met."""
    headers = {"Authorization": f"Bearer {token}"}
    media: dict[str, Any] = httpx.post(f"{product.api_url}/api/media/{media_id}/confirm", headers=headers).json()
    return media


def attempts(page: Page, product: DevelopmentPlatform, text: str) -> tuple[Any, str]:
    """How API and store answer a page, and what became of the upload that it tried."""
    token = product.token("attempts")
    file = File(text.encode())
    ticket = announced(product, token, file)
    arguments = (product.api_url, token, ticket["upload_url"], list(file.content))
    outcome = page.evaluate(imported("/front_end.mjs", "attempts", *arguments))
    media = confirmed(product, token, ticket["media_id"])
    return outcome, media.get("type", media["status"])


@pytest.mark.browser
def test_the_browser_keeps_other_origins_from_api_and_store(
    browser: Browser, front_end: FrontEnd, product: DevelopmentPlatform
) -> None:
    allowed = attempts(browser.open(front_end.allowed_origin), product, "from an allowed page")
    assert allowed == ({"api": 200, "store": 200}, "completed")

    page = browser.open(front_end.foreign_origin)
    refused = attempts(page, product, "from a foreign page")
    assert refused == ({"api": "TypeError", "store": "TypeError"}, "urn:mediabucket:problem:upload-missing")
    console = "\n".join(page.complaints())
    for address in (product.api_url, product.connection.store.public_endpoint):
        assert f"Access to fetch at '{address}/" in console
    assert console.count("blocked by CORS policy") == 2


@pytest.mark.browser
def test_the_services_own_page_uploads_and_shows_a_picture(
    browser: Browser, product: DevelopmentPlatform, tmp_path: Path
) -> None:
    """As a person uses it: pick a file, write, send; under its Content-Security-Policy and without a complaint."""
    file = tmp_path / "holiday.png"
    file.write_bytes(png(320, 200))
    page = browser.open(f"{product.api_url}/#token={product.token('person')}")
    page.choose_file("#files", file)
    page.wait_for("document.querySelector('#uploads .state')?.textContent === 'uploaded'")
    page.evaluate("document.querySelector('#content').value = 'From the beach'")
    page.evaluate("document.querySelector('#composer button').click()")
    page.wait_for("document.querySelector('#messages img')?.naturalWidth === 320")
    assert page.evaluate("document.querySelector('#messages li').innerText").startswith("person: From the beach ")
    assert page.evaluate("document.querySelector('#uploads').children.length") == 0
    assert page.evaluate("document.querySelector('#problem').textContent") == ""
    assert page.complaints() == []


@pytest.mark.browser
def test_the_services_own_page_says_what_is_wrong(
    browser: Browser, product: DevelopmentPlatform, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not allowed")
    page = browser.open(f"{product.api_url}/#token={product.token('person')}")
    page.choose_file("#files", file)
    page.wait_for("document.querySelector('#uploads .state')?.textContent.includes('files of type text/plain')")


def test_the_services_log_holds_no_token_and_no_signature(product: DevelopmentPlatform) -> None:
    token = product.token("logged")
    ticket = announced(product, token, README_FILE)
    httpx.put(ticket["upload_url"], content=README_FILE.content, headers=ticket["headers"]).raise_for_status()
    media = confirmed(product, token, ticket["media_id"])
    signatures = [parse_qs(urlsplit(url).query)["X-Amz-Signature"][0] for url in (ticket["upload_url"], media["url"])]
    log = product.data.log("service").read_text()
    assert "Application startup complete" in log
    assert [secret for secret in (token, *signatures, "X-Amz-Signature") if secret in log] == []
