"""The client as a package: its types, what npm would publish, what the service serves."""

import asyncio
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from js_client import LIBRARY, ROOT, TESTS, ClientWorld, run_node
from pydantic import BaseModel

from mediabucket_service.client_files import client_files, is_known
from mediabucket_service.flows import MessagePage, SentMessage
from mediabucket_service.media.part_schemas import PartProgress, UploadProgress
from mediabucket_service.media.schemas import MediaPage, MediaView
from mediabucket_service.messages.schemas import SendMessage

CODE_LINES = 400
# Of the package only: a browser needs none.
LICENCE = LIBRARY / "LICENSE"
SERVED = sorted(set(LIBRARY.iterdir()) - {LICENCE})
# What the client hands through as it comes, by the name of its declaration.
WIRE: dict[str, type[BaseModel]] = {
    "Media": MediaView,
    "MediaPage": MediaPage,
    "PartProgress": PartProgress,
    "ArrivedParts": UploadProgress,
    "NewMessage": SendMessage,
    "Message": SentMessage,
    "MessagePage": MessagePage,
}


def npm_says(folder: Path, *command: str) -> Any:
    """What npm answers, as JSON."""
    npm = shutil.which("npm")
    assert npm is not None
    done = subprocess.run([npm, *command, "--json"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def installed(npm: Path, folder: Path) -> None:
    """Make a project in which the client is a package as npm packs it, beside those of the tests."""
    modules = folder / "node_modules"
    modules.mkdir()
    for entry in (npm / "node_modules").iterdir():
        (modules / entry.name).symlink_to(entry)
    [packed] = npm_says(LIBRARY, "pack", "--pack-destination", str(folder))
    shutil.unpack_archive(folder / packed["filename"], folder)
    (folder / "package").rename(modules / "mediabucket-client")


def test_typescript_accepts_what_is_right_and_refuses_what_is_wrong(npm: Path, tmp_path: Path) -> None:
    installed(npm, tmp_path)
    shutil.copy(TESTS / "usage.ts", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom,dom.iterable"]
    compiler = npm / "node_modules" / "typescript" / "bin" / "tsc"
    command = [str(compiler), *options, "--types", "node", "--skipLibCheck", "false", "usage.ts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


async def test_the_declarations_name_what_the_modules_export(node: str, npm: Path) -> None:
    told = await run_node(node, TESTS / "exports.mjs", str(npm), str(LIBRARY))
    assert told["declared"] == told["real"] == told["native"]
    assert told["declaredUppy"] == told["realUppy"] == ["mediaBucketUploader"]
    assert "createClient" in told["real"]


async def test_the_declarations_have_the_fields_of_the_api(node: str, npm: Path) -> None:
    told = await run_node(node, TESTS / "exports.mjs", str(npm), str(LIBRARY))
    declared = {name: told["members"][name] for name in WIRE}
    assert declared == {name: sorted(model.model_fields) for name, model in WIRE.items()}


def test_npm_packs_all_of_it_and_nothing_else(npm: Path) -> None:
    assert npm.is_dir()
    [packed] = npm_says(LIBRARY, "pack", "--dry-run")
    assert packed["name"] == "mediabucket-client"
    assert {file["path"] for file in packed["files"]} == {file.name for file in LIBRARY.iterdir()}


def test_the_package_has_the_licence_that_it_names() -> None:
    """A copy, since npm packs nothing from outside its folder."""
    assert json.loads((LIBRARY / "package.json").read_text())["license"] == "Apache-2.0"
    assert LICENCE.read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert "Apache License\n                           Version 2.0" in LICENCE.read_text()


def test_the_wheel_has_all_of_it(tmp_path: Path) -> None:
    """What the image of the service is made of."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    folder = "mediabucket_service/web/client/"
    names = {name.removeprefix(folder) for name in zipfile.ZipFile(wheel).namelist() if name.startswith(folder)}
    assert names == {file.name for file in LIBRARY.iterdir()}


def test_the_client_needs_no_other_package() -> None:
    package = json.loads((LIBRARY / "package.json").read_text())
    assert "dependencies" not in package
    assert all(package["peerDependenciesMeta"][name]["optional"] for name in package["peerDependencies"])
    modules = [file.read_text() for file in LIBRARY.glob("*.js")]
    assert all(f' from "{name}"' not in line for text in modules for name in package["peerDependencies"]
               for line in text.splitlines() if not line.startswith("//"))  # fmt: skip


@pytest.mark.parametrize("file", sorted(LIBRARY.glob("*.js")), ids=lambda file: file.name)
def test_modules_are_short_enough_to_be_read(file: Path) -> None:
    assert len(file.read_text().splitlines()) < CODE_LINES


def test_packages_from_npm_are_pinned_and_name_no_registry() -> None:
    lock = (TESTS / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity": "sha512-') == lock.count('"integrity"') > 10
    assert (TESTS / ".npmrc").read_text().splitlines()[0] == "omit-lockfile-registry-resolved=true"


async def test_the_service_serves_every_file_of_the_client(world: ClientWorld) -> None:
    async with httpx.AsyncClient(base_url=world.base_url) as browser:
        for file in SERVED:
            answer = await browser.get(f"/client/{file.name}")
            assert (answer.status_code, answer.content) == (200, file.read_bytes())
            if file.suffix == ".js":
                # Browsers run a module only as such: https://html.spec.whatwg.org/#fetch-a-single-module-script
                assert answer.headers["Content-Type"].startswith("text/javascript")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_what_a_browser_has_is_not_sent_again(world: ClientWorld) -> None:
    async with httpx.AsyncClient(base_url=world.base_url) as browser:
        first = await browser.get("/client/mediabucket.js")
        assert "no-cache" in first.headers["Cache-Control"]
        again = await browser.get("/client/mediabucket.js", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
        other = await browser.get("/client/uppy.js", headers={"If-None-Match": first.headers["ETag"]})
        assert other.status_code == 200
        head = await browser.head("/client/mediabucket.js")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == str(len(first.content))


async def test_nothing_else_is_served(world: ClientWorld) -> None:
    async with httpx.AsyncClient(base_url=world.base_url) as browser:
        names = ["nothing.js", "..%2findex.html", "%2e%2e%2f%2e%2e%2fsettings.py", "", "a/b.js"]
        answers = await asyncio.gather(*[browser.get(f"/client/{name}") for name in names])
        assert [answer.status_code for answer in answers] == [404] * len(names)
        assert all(answer.json()["type"] == "urn:mediabucket:problem:not-found" for answer in answers)


def test_an_etag_is_known_in_any_of_its_forms() -> None:
    assert [is_known('"a"', told) for told in ('"a"', 'W/"a"', '"b", "a"', "*")] == [True] * 4
    assert [is_known('"a"', told) for told in ("", '"b"', "a")] == [False] * 3


def test_files_have_etags_of_their_own() -> None:
    etags = {file.etag for file in client_files().values()}
    assert len(etags) == len(client_files()) == len(SERVED)
