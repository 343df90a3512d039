"""The code blocks of the Markdown documents, and those that are marked as runnable as programs."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    file
    for pattern in ("*.md", "docs/**/*.md", "charts/mediabucket/*.md", "service/mediabucket_service/web/client/*.md")
    for file in ROOT.glob(pattern)
)
LANGUAGES = ("sh", "js", "py")
BLOCK = re.compile(r"^```(?P<language>\w+)(?P<marks>[^\n`]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
TIMEOUT_SECONDS = 120

# What stands before the blocks, and before each of them a line on stderr with its place.
STARTS = {
    "sh": "",
    "py": "import os, sys\nAPI, TOKEN = os.environ['API'], os.environ['TOKEN']\n",
    "js": (
        'import { readFileSync as __read } from "node:fs";\nimport { File as __File } from "node:buffer";\n'
        "const { API, TOKEN } = process.env;\n"
        'const file = new __File([__read("picture.jpg")], "picture.jpg", { type: "image/jpeg" });\n'
    ),
}
PLACES = {
    "sh": "echo 'at {place}' >&2\n",
    "py": "print('at {place}', file=sys.stderr, flush=True)\n",
    "js": "console.error('at {place}');\n",
}


@dataclass(frozen=True)
class Block:
    document: str
    line: int
    """Of its first line of code, from 1."""
    language: str
    marks: tuple[str, ...]
    code: str

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def kind(self) -> str | None:
        """Its language if it runs beside `mediabucket dev`, `kube` if it needs a cluster, None if it does not run."""
        if "runnable" not in self.marks:
            return None
        return "kube" if "kube" in self.marks else self.language


def blocks_of(document: Path, root: Path = ROOT) -> list[Block]:
    text = document.read_text()
    return [
        Block(
            str(document.relative_to(root)),
            text.count("\n", 0, match.start("code")) + 1,
            match["language"],
            tuple(match["marks"].split()),
            match["code"],
        )
        for match in BLOCK.finditer(text)
    ]


def program_of(blocks: list[Block], language: str) -> str:
    """All blocks as one program, in their order."""
    told = "".join(PLACES[language].format(place=block.place) + block.code for block in blocks)
    return STARTS[language] + told


def run_blocks(blocks: list[Block], language: str, *, directory: Path, api: str, token: str) -> str:
    """What the blocks of one language print. Raises AssertionError with the place of the block that failed.

    Shell blocks run at the root of the repository, all others in `directory`.
    """
    suffix = {"sh": ".sh", "py": ".py", "js": ".mjs"}[language]
    program = directory / f"program{suffix}"
    program.write_text(program_of(blocks, language))
    command = {"sh": ["bash", "-euo", "pipefail"], "py": [sys.executable], "js": ["node"]}[language]
    done = subprocess.run(
        [*command, str(program)],
        cwd=ROOT if language == "sh" else directory,
        env=os.environ | {"API": api, "TOKEN": token, "MEDIABUCKET_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    places = re.findall(r"^at (\S+:\d+)$", done.stderr, re.MULTILINE)
    place = places[-1] if places else blocks[0].document
    assert done.returncode == 0, f"{place}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
