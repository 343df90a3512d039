"""Code blocks marked as runnable run, against one `mediabucket dev`."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from development_process import Dev
from document_blocks import DOCUMENTS, LANGUAGES, ROOT, Block, blocks_of, run_blocks
from sample_files import dressed, jpeg

RUNNABLE = [
    pytest.param(document, language, id=f"{document.relative_to(ROOT)}-{language}")
    for document in DOCUMENTS
    for language in LANGUAGES
    if any(block.kind == language for block in blocks_of(document))
]
WORKING = """
```sh runnable
name=first
```
```sh runnable
curl -fsS -H "Authorization: Bearer $TOKEN" "$API/api/media" | grep -q '"items"\\|"media"' && echo "$name"
```
```js runnable
const answer = await fetch(`${API}/api/media`, { headers: { Authorization: `Bearer ${TOKEN}` } });
console.log(answer.status, file.type);
```
```py runnable
from pathlib import Path
print(Path("film.mp4").stat().st_size > 0, API.startswith("http"))
```
```sh
exit 1
```
"""
PRINTED = {"sh": "first\n", "js": "200 image/jpeg\n", "py": "True True\n"}
FAILING = {"sh": "false", "js": "throw new Error()", "py": "raise SystemExit(1)"}


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    dev = Dev(tmp_path_factory.mktemp("dev"))
    dev.start("--port", "0")
    try:
        dev.wait_until_ready()
        yield dev
    finally:
        dev.send(signal.SIGTERM)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "film.mp4").write_bytes(dressed(bytes(1000), "video/mp4"))
    (tmp_path / "picture.jpg").write_bytes(jpeg())
    return tmp_path


def run(dev: Dev, blocks: list[Block], language: str, directory: Path) -> str:
    chosen = [block for block in blocks if block.kind == language]
    return run_blocks(chosen, language, directory=directory, api=dev.ready["api_url"], token=dev.ready["token"])


@pytest.mark.parametrize(("document", "language"), RUNNABLE)
def test_runnable_blocks_run(dev: Dev, document: Path, language: str, directory: Path) -> None:
    run(dev, blocks_of(document), language, directory)


@pytest.mark.parametrize("language", LANGUAGES)
def test_blocks_of_a_language_run_as_one_program(dev: Dev, language: str, directory: Path) -> None:
    document = directory / "document.md"
    document.write_text(WORKING)
    assert run(dev, blocks_of(document, directory), language, directory) == PRINTED[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_failure_names_the_place_of_its_block(dev: Dev, language: str, directory: Path) -> None:
    document = directory / "document.md"
    document.write_text(f"```{language} runnable\n```\n\n```{language} runnable\n{FAILING[language]}\n```\n")
    with pytest.raises(AssertionError, match=r"^document\.md:5: "):
        run(dev, blocks_of(document, directory), language, directory)
