"""The whole product as `mediabucket dev` runs it, and a web server for a front end of another origin."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from browser import HOW_TO_INSTALL, Browser, browser_program
from front_end import FrontEnd, serving_pages
from page_platform import PagePlatform

from mediabucket_cli.development_platform import DevelopmentPlatform

# The first with File as a global.
OLDEST_NODE = 20
MANIFEST = """\
apiVersion: mediabucket.dev/v1alpha1
kind: MediaBucket
metadata: {{name: chat-media, namespace: default}}
spec:
  storeRef: {{name: embedded}}
  cors: {{allowedOrigins: {origins}}}
"""


@pytest.fixture(scope="module")
def front_end() -> Iterator[FrontEnd]:
    with serving_pages() as running:
        yield running


@pytest.fixture(scope="module")
def product(front_end: FrontEnd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevelopmentPlatform]:
    """It allows the front end's origin, and its own for the page at /."""
    directory = tmp_path_factory.mktemp("product")
    manifest = directory / "manifest.yaml"
    manifest.write_text(MANIFEST.format(origins=f"[{front_end.allowed_origin}]"))
    with DevelopmentPlatform(manifest, directory / "data", port=0, durable=False) as platform:
        manifest.write_text(MANIFEST.format(origins=f"[{front_end.allowed_origin}, {platform.api_url}]"))
        platform.apply_manifest()
        yield platform


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagePlatform]:
    """For the page at /, under manifests that a test may change."""
    with PagePlatform.start(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if browser_program() is None:
        pytest.skip(HOW_TO_INSTALL)
    with Browser.start(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def node() -> str:
    program = shutil.which("node")
    version = program and subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if program is None or version is None or int(version.strip("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"NODE NOT TESTED: there is no Node {OLDEST_NODE} or newer; `apt-get install nodejs` may bring one")
    return program
