"""docs/crds.md says all of both kinds, and of what people annotate."""

from pathlib import Path

import crd_reference
import pytest
import yaml

from mediabucket_api import constants
from mediabucket_api.crd import crd_files

WRITTEN = Path(__file__).parents[2] / "docs" / "crds.md"
KINDS = [yaml.safe_load(text) for text in crd_files().values()]


def test_the_file_is_what_the_models_give_now(tmp_path: Path) -> None:
    crd_reference.main([str(tmp_path)])
    assert (tmp_path / "crds.md").read_bytes() == WRITTEN.read_bytes(), "run: make docs"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind["spec"]["names"]["kind"]))
def test_every_field_of_spec_and_status_has_a_meaning(
    kind: dict[str, dict[str, list[dict[str, dict[str, object]]]]],
) -> None:
    schema = kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert isinstance(schema, dict)
    silent = [path for path, field, _ in crd_reference.fields(schema) if not field.get("description")]
    assert silent == []


def test_every_annotation_is_explained() -> None:
    known = {value for name, value in vars(constants).items() if name.endswith("_ANNOTATION")}
    assert known
    assert known == crd_reference.ANNOTATIONS.keys()
