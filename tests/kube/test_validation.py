"""What the API server accepts and refuses, and in which words: every bound, enum, pattern and required field.

The Python loader, which reads manifests without a cluster, must say the same. Rules: test_validation_rules.py.
"""

import re
from typing import Any

import pytest
from crd_cases import Case, cases
from kube_cluster import KubeCluster
from operator_process import namespace
from validation_cases import TEXTS, UNKNOWN_FIELD, broken_by, constraints, edges, kept_by, told
from validation_server import PLURALS, TEAM, Server, loader_refuses, schema_of

SPECS = {kind: schema_of(kind)["properties"]["spec"] for kind in PLURALS}
CONSTRAINTS = {kind: {(each.place, each.keyword): each for each in constraints(SPECS[kind])} for kind in PLURALS}
ALL_CASES = [case for kind in PLURALS for make in (cases, edges) for case in make(kind, SPECS[kind])]


@pytest.fixture(scope="module")
def server(kube: KubeCluster) -> Server:
    kube.apply(namespace(TEAM))
    return Server(kube)


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: f"{case.kind} {case.title}")
def test_the_schema_says_what_is_wrong(server: Server, case: Case) -> None:
    refusal = server.refusal(case.kind, case.spec)
    fields = loader_refuses(case.kind, case.spec)
    if case.refusal is None:
        assert refusal is None
        assert fields == []
        return
    assert refusal is not None, "the API server accepts it"
    field, message = told(CONSTRAINTS[case.kind][broken_by(case)])
    assert refusal.tells(field, message), refusal.causes
    # Of an item that is there twice the loader names the list.
    assert any(re.fullmatch(field, its_field) or re.fullmatch(field, f"{its_field}[1]") for its_field in fields)


@pytest.mark.parametrize("kind", PLURALS)
def test_every_constraint_has_a_bad_object(kind: str) -> None:
    bad = {broken_by(case) for case in ALL_CASES if case.kind == kind and case.refusal is not None}
    assert bad == set(CONSTRAINTS[kind])


@pytest.mark.parametrize("kind", PLURALS)
def test_every_constraint_has_a_good_object(kind: str) -> None:
    """What only says that a field is there, known and of its type is kept by the objects that have every field."""
    shape = {key for key in CONSTRAINTS[kind] if key[1] in ("type", UNKNOWN_FIELD) or key[1].startswith("required ")}
    good = {
        kept_by(case) for case in ALL_CASES if case.kind == kind and case.refusal is None and case.title != "everything"
    }
    assert good == set(CONSTRAINTS[kind]) - shape


def test_no_text_is_kept_for_a_pattern_that_is_gone() -> None:
    patterns = {key.limit for kind in PLURALS for key in CONSTRAINTS[kind].values() if key.keyword == "pattern"}
    assert set(TEXTS) == patterns


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "multipleOf": 5},
        {"type": "string", "format": "uri"},
        {"type": "string", "pattern": "^new$"},
        {"type": "string", "maxLength": 5},
        {"type": "array", "maxItems": 5, "items": {"type": "string", "enum": ["One"]}},
    ],
    ids=lambda schema: "-".join(schema),
)
def test_a_constraint_without_a_case_is_an_error(schema: dict[str, Any]) -> None:
    """A keyword or pattern that is new, or a field that no full object has."""
    spec = {"type": "object", "properties": {"colour": schema}}
    with pytest.raises(LookupError, match=r"colour|\^new\$"):
        _ = [*constraints(spec), *edges("ObjectStore", spec), *cases("ObjectStore", spec)]
