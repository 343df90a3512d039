"""Every relative link, image and anchor in the repository's Markdown leads somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^(```+).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z]+:")


def documents() -> list[str]:
    told = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted(told.stdout.split())


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings: lower case, without punctuation, dashes for spaces."""
    headings = HEADING.findall(FENCED.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> list[str]:
    prose = CODE.sub("", FENCED.sub("", document.read_text()))
    return [link for link in LINK.findall(prose) if not ELSEWHERE.match(link) and not leads_somewhere(document, link)]


def leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = document.parent / path if path else document
    return target.exists() and (not anchor or (target.suffix == ".md" and anchor in anchors(target.read_text())))


@pytest.mark.parametrize("document", documents())
def test_links_lead_somewhere(document: str) -> None:
    assert broken_links(ROOT / document) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "here.md").write_text("# Two words, here\n")
    document = tmp_path / "document.md"
    document.write_text(
        "[a](here.md#two-words-here) [b](here.md#no) [c](gone.md) [d](#no) `[e](gone.md)` [f](https://g)\n"
    )
    assert broken_links(document) == ["here.md#no", "gone.md", "#no"]
