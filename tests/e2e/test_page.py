"""The page at `/` as a person uses it in a real Chromium; the store is of another origin."""

import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import Browser, Page
from page_platform import (
    MEBIBYTE,
    STATES,
    PagePlatform,
    arrived_parts,
    colours,
    contrast,
    drop,
    film,
    media_of,
    open_page,
    pictures,
    plan,
    settled,
    slow_down,
    tab_to,
)

pytestmark = pytest.mark.browser

# How many pictures each message of this user has; the API takes 50.
CARRIED = """[...document.querySelectorAll('#messages li')].filter((one) => one.innerText.startsWith('many: '))
    .map((one) => one.querySelectorAll('img').length)"""
POLLED = """(async () => {
    const { Poll } = await import("/web/page/poll.js");
    const place = document.createElement("p");
    const seen = [];
    let outcome, asked = 0;
    const poll = new Poll(() => { asked += 1; return outcome(); }, place);
    const step = async (next) => { outcome = next; await poll.run(); seen.push(place.textContent); };
    const gone = async () => { throw new Error("gone"); };
    await step(gone);
    await step(async () => {});
    await step(gone);
    place.textContent = "somebody else's";
    await step(gone);
    await step(async () => {});
    outcome = () => new Promise(() => {});
    poll.run();
    await poll.run();
    return [seen, asked];
})()"""
# The numbers of the parts that this page has sent since it was loaded.
SENT_PARTS = """performance.getEntriesByType('resource')
    .map(({ name }) => Number(new URL(name).searchParams.get('partNumber'))).filter(Boolean)"""
DRAWN = Path(__file__).parents[2] / "docs" / "images"
TOLD_WIDTHS = "[...document.querySelectorAll('.upload .state')].map((state) => state.offsetWidth)"
READ = ["body", "header p", "a", ".upload .state", ".upload button", "#send", "#problem", "span.thumbnail"]
CONTROLS = ("button", "textbox", "progressbar", "list", "link", "image")


def press(page: Page, name: str) -> None:
    """Click the button of this name."""
    page.evaluate(f"document.querySelector('[aria-label=\"{name}\"]').click()")


def test_files_are_dropped_and_sent_in_a_message(browser: Browser, platform: PagePlatform, tmp_path: Path) -> None:
    page = open_page(browser, platform, "happy")
    first, second = pictures(tmp_path, 2)
    page.choose_file("#files", first)
    drop(page, second)
    settled(page, "uploaded", "uploaded")
    assert page.evaluate("document.querySelector('.upload img').naturalWidth") == 64
    page.wait_for("document.querySelector('#attached').textContent === 'with 2 files'")
    page.evaluate("document.querySelector('#content').value = 'From the beach'")
    page.evaluate("document.querySelector('#send').click()")
    page.wait_for("document.querySelectorAll('#messages img').length === 2")
    page.wait_for("[...document.querySelectorAll('#messages img')].every((image) => image.naturalWidth === 64)")
    assert page.evaluate("document.querySelectorAll('#uploads li').length") == 0
    assert page.evaluate("document.querySelector('#who').textContent") == "Signed in as happy"
    page.choose_file("#files", first)
    settled(page, "was there already: nothing was sent")
    assert page.complaints() == []


def test_a_running_upload_is_cancelled_and_leaves_nothing(
    browser: Browser, platform: PagePlatform, tmp_path: Path
) -> None:
    page = open_page(browser, platform, "cancel")
    slow_down(page, 1)
    page.choose_file("#files", film(tmp_path, 8 * MEBIBYTE))
    page.wait_for(f"{STATES}[0] === 'uploading'")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for("document.querySelector('#pending-summary').textContent === '1 pending upload'")
    press(page, "Cancel film.mp4")
    assert page.evaluate("document.querySelectorAll('#uploads li').length") == 0
    page.wait_for("document.querySelector('#pending').hidden")
    assert [media["status"] for media in media_of(platform, "cancel")] == ["expired"]


def test_a_paused_upload_goes_on_and_sends_only_what_is_missing(
    browser: Browser, platform: PagePlatform, tmp_path: Path
) -> None:
    page = open_page(browser, platform, "pause")
    slow_down(page, 20)
    page.choose_file("#files", film(tmp_path, 70 * MEBIBYTE))
    page.wait_for("document.querySelector('.upload progress').value > 0.5")
    press(page, "Pause film.mp4")
    settled(page, "paused: a large file goes on where it was, a small one begins anew")
    [media] = media_of(platform, "pause")
    assert media["status"] == "pending"
    slow_down(page, 200)
    press(page, "Resume film.mp4")
    settled(page, "uploaded")
    assert [(one["media_id"], one["status"]) for one in media_of(platform, "pause")] == [
        (media["media_id"], "completed")
    ]


def test_after_a_reload_the_same_file_goes_on_where_it_was(
    browser: Browser, platform: PagePlatform, tmp_path: Path
) -> None:
    file = film(tmp_path, 40 * MEBIBYTE)
    with platform.manifest(uploads={"multipart": {"minBytes": 5 * MEBIBYTE, "partBytes": 5 * MEBIBYTE}}):
        page = open_page(browser, platform, "reload")
        slow_down(page, 4)
        page.choose_file("#files", file)
        page.wait_for("document.querySelector('.upload progress')?.value > 0.5")
        [begun] = media_of(platform, "reload")
        page.loads("Page.reload")
        arrived = arrived_parts(platform, "reload", begun["media_id"])
        assert 0 < len(arrived) < 8
        assert page.evaluate(STATES) == []
        slow_down(page, 100)
        page.choose_file("#files", file)
        settled(page, "uploaded")
    [media] = media_of(platform, "reload")
    assert (media["media_id"], media["status"]) == (begun["media_id"], "completed")
    sent = page.evaluate(SENT_PARTS)
    assert sent
    assert arrived.isdisjoint(sent), "what had arrived is not sent again"
    assert httpx.get(media["url"]).content == file.read_bytes()


def test_a_lost_network_is_told_and_its_return_is_enough(
    browser: Browser, platform: PagePlatform, tmp_path: Path
) -> None:
    page = open_page(browser, platform, "offline")
    slow_down(page, 2)
    page.choose_file("#files", film(tmp_path, 6 * MEBIBYTE))
    page.wait_for("document.querySelector('.upload progress').value > 0.2")
    slow_down(page, 2, offline=True)
    page.wait_for("document.querySelector('.upload.failed') !== null")
    slow_down(page, 100)
    settled(page, "uploaded")
    assert [media["status"] for media in media_of(platform, "offline")] == ["completed"]


def test_urls_that_expire_on_the_way_are_asked_for_anew(
    browser: Browser, platform: PagePlatform, tmp_path: Path
) -> None:
    with platform.manifest(uploads={"urlTTLSeconds": 1}):
        page = open_page(browser, platform, "expired")
        slow_down(page, 35)
        page.choose_file("#files", film(tmp_path, 70 * MEBIBYTE))
        settled(page, "uploaded")
        page.call(
            "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
    asked = page.evaluate("performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/parts')).length")
    assert asked >= 2, "the parts that have arrived, and fresh URLs"


def test_an_origin_that_the_bucket_does_not_allow_is_told_what_to_do(
    browser: Browser, platform: PagePlatform, tmp_path: Path
) -> None:
    with platform.manifest(origins=["https://chat.example.com"]):
        page = open_page(browser, platform, "refused")
        [picture] = pictures(tmp_path, 1)
        page.choose_file("#files", picture)
        page.wait_for("document.querySelector('.upload.failed') !== null")
        [told] = page.evaluate(STATES)
        assert f"{platform.url} must be among the MediaBucket's spec.cors.allowedOrigins" in told


def test_two_hundred_files_at_once(browser: Browser, platform: PagePlatform, tmp_path: Path) -> None:
    page = open_page(browser, platform, "many")
    page.choose_file("#files", *pictures(tmp_path, 200))
    # A screen that stands still meanwhile is one that nobody can press Pause on.
    page.evaluate("setInterval(() => { window.beats = (window.beats ?? 0) + 1 }, 50)")
    page.wait_for("document.querySelector('#summary').textContent.startsWith('200 of 200 files uploaded')")
    assert page.evaluate("window.beats") > 20
    found = media_of(platform, "many")
    assert len(found) == 200
    assert {media["status"] for media in found} == {"completed"}
    page.evaluate("document.querySelector('#send').click()")
    page.wait_for(f"JSON.stringify({CARRIED}) === '[50,50,50,50]'")
    assert page.complaints() == []


def test_media_whose_urls_have_expired_are_loaded_again(
    browser: Browser, platform: PagePlatform, tmp_path: Path
) -> None:
    page = open_page(browser, platform, "old")
    page.choose_file("#files", *pictures(tmp_path, 1), plan(tmp_path))
    settled(page, "uploaded", "uploaded")
    page.evaluate("document.querySelector('#send').click()")
    page.wait_for("(window.shown = document.querySelector('#messages li'))?.innerText.startsWith('old: ')")
    page.wait_for("shown.querySelector('img').naturalWidth === 64")
    page.evaluate("window.before = shown.querySelector('a').href")
    # What the store says to an expired signature it says to a wrong one.
    page.evaluate("shown.querySelector('img').src += '0'")
    page.wait_for("shown.querySelector('a').href !== before")
    page.wait_for("shown.querySelector('img').naturalWidth === 64")
    assert page.evaluate("shown.isConnected"), "the message itself stays"


def test_what_is_polled_is_told_once_and_taken_back(browser: Browser, platform: PagePlatform) -> None:
    page = open_page(browser, platform, "poll")
    seen, asked = page.evaluate(POLLED)
    assert seen == ["gone", "", "gone", "somebody else's", "somebody else's"]
    assert asked == 6, "five answers, and none while one is awaited"


def test_the_whole_story_by_keyboard(browser: Browser, platform: PagePlatform, tmp_path: Path) -> None:
    page = open_page(browser, platform, "keyboard")
    page.call("Page.setInterceptFileChooserDialog", enabled=True)
    tab_to(page, "#files")
    page.press(" ", " ")
    page.wait_for("true")
    [chooser] = page.events("Page.fileChooserOpened")
    [picture] = pictures(tmp_path, 1)
    page.call("DOM.setFileInputFiles", files=[str(picture)], backendNodeId=chooser["backendNodeId"])
    settled(page, "uploaded")
    tab_to(page, "#content")
    page.call("Input.insertText", text="by keyboard")
    page.press("Enter", "\r")
    page.wait_for("document.querySelector('#messages li')?.innerText.includes('keyboard: by keyboard')")
    assert page.evaluate("document.querySelector('#messages img') !== null")


def test_every_control_has_a_name(browser: Browser, platform: PagePlatform, tmp_path: Path) -> None:
    page = open_page(browser, platform, "reader")
    page.choose_file("#files", *pictures(tmp_path, 2))
    settled(page, "uploaded", "uploaded")
    page.wait_for("document.querySelector('#summary').textContent !== ''")
    page.call("Accessibility.enable")
    nodes: list[dict[str, Any]] = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in nodes if node["role"]["value"] in CONTROLS and not node["ignored"]]
    assert len(controls) > 6
    assert [node for node in controls if not node.get("name", {}).get("value")] == []
    live = [node for node in nodes if node["role"]["value"] in ("status", "alert")]
    assert len(live) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_day_and_by_night(
    browser: Browser, platform: PagePlatform, scheme: str, tmp_path: Path
) -> None:
    page = open_page(browser, platform, scheme)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.choose_file("#files", *pictures(tmp_path, 1, scale=6), plan(tmp_path))
    settled(page, "uploaded", "uploaded")
    # WCAG 2.2, 1.4.3: at least 4.5 to 1.
    read = colours(page, READ)
    assert {selector: ratio for selector, ratio in contrast(read).items() if ratio < 4.5} == {}
    ground = read["body"][1]
    assert (sum(ground) > 380) == (scheme == "light")
    draw(page, tmp_path, f"page-{scheme}.png", 1120, 680)


def test_it_fits_a_phone(browser: Browser, platform: PagePlatform, tmp_path: Path) -> None:
    page = open_page(browser, platform, "phone")
    page.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
    page.choose_file("#files", *pictures(tmp_path, 2, scale=6))
    settled(page, "uploaded", "uploaded")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    heights = page.evaluate(
        "[...document.querySelectorAll('button')].filter((one) => one.offsetHeight).map((one) => one.offsetHeight)"
    )
    assert min(heights) >= 24, "WCAG 2.2, 2.5.8"
    draw(page, tmp_path, "page-phone.png", 360, 1200)


def test_nothing_moves_for_those_who_do_not_want_it(browser: Browser, platform: PagePlatform) -> None:
    page = open_page(browser, platform, "still")
    duration = "getComputedStyle(document.querySelector('#drop')).transitionDuration"
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "no-preference"}])
    assert page.evaluate(duration) != "0s"
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert page.evaluate(duration) == "0s"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_became_of_each_file_is_told_in_words(
    browser: Browser, platform: PagePlatform, scheme: str, tmp_path: Path
) -> None:
    page = open_page(browser, platform, f"told-{scheme}")
    wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    page.call("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in wishes.items()])
    first, second = pictures(tmp_path, 2, scale=6)
    page.choose_file("#files", first)
    settled(page, "uploaded")
    press(page, f"Remove {first.name}")
    page.choose_file("#files", first, second)
    settled(page, "was there already: nothing was sent", "uploaded")
    text = tmp_path / "notes.mp4"
    text.write_bytes(b"no film at all")
    page.choose_file("#files", text)
    page.wait_for(f"{STATES}[2]?.includes('is not of the type it claims')")
    slow_down(page, 1)
    page.choose_file("#files", film(tmp_path, 8 * MEBIBYTE))
    page.wait_for("document.querySelector('.upload:last-child progress').value > 0.3")
    press(page, "Pause film.mp4")
    page.wait_for(f"{STATES}[3].startsWith('paused: ')")
    read = contrast(colours(page, [".upload.failed .state", ".upload.done .state", ".upload:last-child .state"]))
    assert min(read.values()) >= 4.5
    # At once, whatever happens: nothing slides, fades or turns.
    assert page.evaluate("document.querySelector('#drop').classList.toggle('over')")
    assert page.evaluate("document.getAnimations().length") == 0
    page.evaluate("document.querySelector('#drop').classList.toggle('over')")
    # One column, two narrow ones, a phone: words have room beside or above the buttons.
    for width in (620, 900, 360):
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=760, deviceScaleFactor=1, mobile=False)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(f"Math.min(...{TOLD_WIDTHS})") >= 200
    if scheme == "light":
        draw_states(page)


def test_without_a_token_it_says_so(browser: Browser, platform: PagePlatform, tmp_path: Path) -> None:
    page = browser.open(f"{platform.url}/")
    page.choose_file("#files", *pictures(tmp_path, 1))
    page.wait_for("document.querySelector('#problem').textContent.startsWith('Sign in first')")
    policy = httpx.get(f"{platform.url}/").headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def draw_states(page: Page) -> None:
    """A picture for the documents, when DRAW_PAGE is set."""
    if not os.environ.get("DRAW_PAGE"):
        return
    page.call("Emulation.setScrollbarsHidden", hidden=True)
    page.call("Emulation.setDeviceMetricsOverride", width=620, height=800, deviceScaleFactor=1, mobile=False)
    # The summary is told once a second.
    page.wait_for("document.querySelector('#summary').textContent.startsWith('2 of 4 files uploaded, 1 failed')")
    page.evaluate("document.activeElement.blur()")
    (DRAWN / "page-states.png").write_bytes(page.screenshot())


def draw(page: Page, directory: Path, name: str, width: int, height: int) -> None:
    """A picture for the documents, when DRAW_PAGE is set: of a conversation, and of files on their way."""
    if not os.environ.get("DRAW_PAGE"):
        return
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    page.call("Emulation.setScrollbarsHidden", hidden=True)
    page.evaluate("document.querySelector('#content').value = 'From the beach'")
    page.evaluate("document.querySelector('#send').click()")
    page.wait_for("document.querySelector('#messages img')?.naturalWidth > 0")
    later = directory / "later"
    later.mkdir()
    page.choose_file("#files", *pictures(later, 2, scale=6))
    settled(page, "uploaded", "uploaded")
    slow_down(page, 1)
    page.choose_file("#files", film(later, 40 * MEBIBYTE))
    page.wait_for("document.querySelector('.upload:last-child progress').value > 0.2")
    page.wait_for("!document.querySelector('#pending').hidden")
    (DRAWN / name).write_bytes(page.screenshot())
