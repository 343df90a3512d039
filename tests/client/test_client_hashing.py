"""The client's SHA-256 beside Node's own, and what it needs of memory."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from js_client import LIBRARY, TESTS, run_node

MEBIBYTE = 1024**2
# 2 ** 32 bits: the first length whose upper half is not 0.
LARGE = 512 * MEBIBYTE
EMPTY_NODE_AND_SOME_SLICES = 160 * MEBIBYTE


async def hashing(node: str, action: str, **told: Any) -> Any:
    """What hashing.mjs answers."""
    asked = {"action": action, "library": (LIBRARY / "mediabucket.js").as_uri()} | told
    return await run_node(node, TESTS / "hashing.mjs", json.dumps(asked))


async def test_it_is_sha256_for_any_length_and_however_it_is_cut(node: str) -> None:
    answer = await hashing(node, "random")
    assert answer["tried"] == 460
    assert answer["wrong"] == []


async def test_nothing_is_added_to_a_finished_hash(node: str) -> None:
    empty = hashlib.sha256().hexdigest()
    assert await hashing(node, "finished") == {
        "twice": [empty, empty], "message": "this SHA-256 is finished: make a new one"
    }  # fmt: skip


async def test_a_large_file_is_hashed_without_being_in_memory(node: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGE - 3)
        file.seek(LARGE - 3)
        file.write(b"end")
    with path.open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
    answer = await hashing(node, "file", path=str(path))
    assert (answer["digest"], answer["told"]) == (expected, LARGE)
    assert answer["peakBytes"] < EMPTY_NODE_AND_SOME_SLICES


async def test_a_faster_library_can_hash(node: str, npm: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hashed by WebAssembly" * 300_000)
    answer = await hashing(node, "faster", path=str(path), npm=str(npm))
    assert answer == {"digest": hashlib.sha256(path.read_bytes()).hexdigest(), "made": 1}


async def test_blobs_of_react_native_are_read(node: str) -> None:
    assert await hashing(node, "native") == {"same": True}


async def test_a_file_that_went_away_is_an_error_of_its_own(node: str) -> None:
    answer = await hashing(node, "unreadable")
    assert answer["name"] == "FileUnreadable"
    assert "choose it again" in answer["userMessage"]


def imported_by(module: Path) -> set[Path]:
    """A module and all that it imports, near and far."""
    found, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            imports = re.findall(r'(?:from|^import) "(\./[a-z0-9_.]+)"', current.read_text(), re.MULTILINE)
            waiting += [(current.parent / name).resolve() for name in imports]
    return found


@pytest.mark.parametrize(("entry", "knows"), [("mediabucket.js", True), ("mediabucket.native.js", False)])
def test_react_native_is_spared_what_its_parser_refuses(entry: str, knows: bool) -> None:
    modules = imported_by(LIBRARY / entry)
    assert len(modules) > 10
    assert any("import.meta" in re.sub(r"//.*", "", module.read_text()) for module in modules) is knows
