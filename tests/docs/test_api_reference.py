"""docs/api.md names every operation and every problem of the service."""

from pathlib import Path

import api_examples
import api_reference

from mediabucket_service.problems import TYPE_PREFIX

WRITTEN = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_file_is_what_the_service_says_now(tmp_path: Path) -> None:
    api_reference.main([str(tmp_path)])
    assert (tmp_path / "api.md").read_bytes() == WRITTEN.read_bytes(), "run: make docs"


def test_every_problem_has_a_row_and_nothing_else_has() -> None:
    text = WRITTEN.read_text()
    slugs = {problem.slug for problem in api_reference.problems()}
    assert slugs == api_reference.WHAT_TO_DO.keys()
    assert [slug for slug in slugs if f"| `{TYPE_PREFIX}{slug}` |" not in text] == []


def test_every_operation_has_an_example() -> None:
    paths = api_reference.document()["paths"]
    assert api_examples.EXAMPLES.keys() == {f"{method.upper()} {path}" for path in paths for method in paths[path]}
