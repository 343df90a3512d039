"""A headless Chromium, driven by the DevTools protocol over a pipe: https://chromedevtools.github.io/devtools-protocol/."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
HOW_TO_INSTALL = "NO BROWSER TESTED: there is no Chromium on this machine; `apt-get install chromium` brings one"
PATIENCE_SECONDS = 60.0
# https://developer.mozilla.org/en-US/docs/Web/API/KeyboardEvent/keyCode
KEYS = {"Tab": 9, "Enter": 13, " ": 32}
CODES = {" ": "Space"}
_OPTIONS = (
    # Only pages of this machine are opened, and root has no sandbox.
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--remote-debugging-pipe",
)  # fmt: skip
# The browser reads commands from descriptor 3 and writes answers to descriptor 4.
_LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_FIRST_SAFE_DESCRIPTOR = 10


def browser_program() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One running browser."""

    def __init__(self, process: subprocess.Popen[bytes], commands: int, answers: int) -> None:
        self._process = process
        self._commands = commands
        self._answers = answers
        self._unread = b""
        self._last_id = 0
        self.events: list[dict[str, Any]] = []

    @classmethod
    @contextmanager
    def start(cls, profile: Path) -> Iterator[Self]:
        """`profile`: an empty directory; what the browser logs goes to `chromium.log` in it."""
        program = browser_program()
        assert program is not None, HOW_TO_INSTALL
        command_end, commands = _pipe()
        answers, answer_end = _pipe()
        with (profile / "chromium.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _LAUNCHER, str(command_end), str(answer_end), program, *_OPTIONS,
                 f"--user-data-dir={profile / 'data'}", "about:blank"],
                pass_fds=[command_end, answer_end], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | {"HOME": str(profile)}, process_group=0,
            )  # fmt: skip
        os.close(command_end)
        os.close(answer_end)
        browser = cls(process, commands, answers)
        try:
            yield browser
        finally:
            browser._stop()

    def open(self, url: str) -> "Page":
        """A new page; returns once it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "DOM"):
            page.call(f"{domain}.enable")
        page.loads("Page.navigate", url=url)
        return page

    def wait_for_event(self) -> None:
        """Returns once another message has come."""
        self._receive(time.monotonic() + PATIENCE_SECONDS)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; its result."""
        self._last_id += 1
        command = {"id": self._last_id, "method": method, "params": parameters}
        text = json.dumps(command | ({"sessionId": session} if session else {}))
        os.write(self._commands, text.encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (answer := self._receive(deadline)).get("id") != self._last_id:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self, deadline: float) -> dict[str, Any]:
        """The next message; events are kept."""
        while b"\0" not in self._unread:
            readable, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, "the browser does not answer"
            received = os.read(self._answers, 65_536)
            assert received, "the browser has ended"
            self._unread += received
        text, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message

    def _stop(self) -> None:
        """Its helper processes are in its process group."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)


class Page:
    """One page of a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def loads(self, method: str, **parameters: Any) -> None:
        """A command after which the page is another; returns once that is loaded."""
        before = len(self.events("Page.loadEventFired"))
        self.call(method, **parameters)
        while len(self.events("Page.loadEventFired")) == before:
            self._browser.wait_for_event()

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited when it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Until a JavaScript expression is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.evaluate(condition):
            assert time.monotonic() < deadline, f"waited in vain for {condition}: {self.complaints()}"
            time.sleep(0.05)

    def choose_file(self, selector: str, *chosen: Path) -> None:
        """What a person does with a file input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in chosen])

    def press(self, key: str, text: str = "") -> None:
        """A key, by its name; `text` is what it writes."""
        named = {"key": key, "code": CODES.get(key, key), "windowsVirtualKeyCode": KEYS[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def screenshot(self) -> bytes:
        """What is in sight as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def events(self, method: str) -> list[dict[str, Any]]:
        """What has happened so far, by the protocol's name."""
        own = [event for event in self._browser.events if event.get("sessionId") == self._session]
        return [event["params"] for event in own if event["method"] == method]

    def complaints(self) -> list[str]:
        """What a developer would see in the console: errors, violations of policies, warnings, messages."""
        entries = [event["entry"] for event in self.events("Log.entryAdded")]
        thrown = [event["exceptionDetails"] for event in self.events("Runtime.exceptionThrown")]
        printed = self.events("Runtime.consoleAPICalled")
        return [
            *(f"{entry['level']}: {entry['text']} {entry.get('url', '')}" for entry in entries),
            *(str(details.get("exception", details)) for details in thrown),
            *(str(event["args"]) for event in printed),
        ]


def _pipe() -> tuple[int, int]:
    """Out of the way of the descriptors that the browser uses."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FIRST_SAFE_DESCRIPTOR) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
