"""The form of documents: how long the README is, what its transcript shows, what a decision says."""

import json
import re
from pathlib import Path
from typing import cast

import httpx
import pytest

from mediabucket_cli.demo_story.files import default_files
from mediabucket_cli.demo_story.story import DemoPlatform, Story

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
HEADINGS = ["Context", "Decision", "Consequences", "Alternatives"]
# The first words of a line of the demo's table, whose second column begins at the same place in each.
SHOWN = re.compile(r"^ok  (.{1,22}?)  +\S", re.MULTILINE)


# A panel's name is in italics; whatever else is not.
ITALICS = re.compile(r"(?<![*\w])\*([^*`]+?)\*(?!\*)")


class NoPlatform:
    """The titles of steps need none."""

    api_url = "http://service.invalid"

    def token(self, user: str) -> str:
        return user


def titles() -> list[str]:
    """The steps of `make demo`, as it names them."""
    with httpx.Client() as http:
        story = Story(cast(DemoPlatform, NoPlatform()), http, default_files())
        return [step.title for step in story.steps()]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 250


def test_the_transcript_shows_steps_of_the_demo_in_their_order() -> None:
    steps, shown = titles(), SHOWN.findall(README)
    assert len(shown) > 4
    assert [title for title in steps if title in shown] == shown
    assert f"all {len(steps)} steps held" in README


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_five_headings(decision: Path) -> None:
    text = decision.read_text()
    assert re.match(rf"# {int(decision.stem.partition('-')[0])}\. \S", text), "a title with the number of the file"
    assert re.search(r"^Status: (accepted|superseded by .+), \w+ 20\d\d$", text, re.MULTILINE)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS


def panels() -> set[str]:
    boards = (ROOT / "charts" / "mediabucket" / "dashboards").glob("*.json")
    return {panel["title"] for board in boards for panel in json.loads(board.read_text())["panels"]}


def test_runbooks_name_panels_that_there_are() -> None:
    named = {
        (runbook.name, " ".join(name.split()))
        for runbook in (ROOT / "docs" / "runbooks").glob("*.md")
        for name in ITALICS.findall(runbook.read_text().replace("**", ""))
    }
    assert len(named) > 10
    assert [(runbook, name) for runbook, name in sorted(named) if name not in panels()] == []
