"""The problems of the service as errors of the client: one class each, under the same name."""

import inspect
import json
from http import HTTPStatus
from typing import Any

import pytest
from js_client import LIBRARY, TESTS, run_node

from mediabucket_service import problems
from mediabucket_service.problems import DependencyUnavailable, Problem, TooManyRequests, UploadMissing

KINDS = [
    kind
    for _, kind in inspect.getmembers(problems, inspect.isclass)
    if issubclass(kind, Problem) and kind is not Problem
]


async def in_the_client(node: str, *answers: tuple[int, Any, int | None]) -> Any:
    """What problems.mjs says of these answers: status, body, Retry-After."""
    return await run_node(node, TESTS / "problems.mjs", (LIBRARY / "mediabucket.js").as_uri(), json.dumps(answers))


async def test_every_problem_of_the_service_is_a_class_of_the_client(node: str) -> None:
    told = await in_the_client(node)
    assert {one["slug"]: one["name"] for one in told["classes"]} == {kind.slug: kind.__name__ for kind in KINDS}
    assert all(one["errorName"] == one["name"] for one in told["classes"])


async def test_every_problem_has_a_sentence_of_its_own_for_a_person(node: str) -> None:
    bodies = [
        {"type": f"urn:mediabucket:problem:{kind.slug}", "title": kind.title, "detail": "why", "request_id": "17"}
        for kind in KINDS
    ]
    told = await in_the_client(
        node, *[(kind.status.value, body, None) for kind, body in zip(KINDS, bodies, strict=True)]
    )
    errors = told["errors"]
    assert [(one["name"], one["status"]) for one in errors] == [(kind.__name__, kind.status) for kind in KINDS]
    assert len({one["userMessage"] for one in errors}) == len(KINDS)
    assert all(one["userMessage"].endswith(".") and len(one["userMessage"]) > 20 for one in errors)
    assert all((one["message"], one["requestId"], one["kinds"]) == ("why", "17", True) for one in errors)


@pytest.mark.parametrize("retry_after", [None, 2])
async def test_only_what_may_change_is_worth_a_try(node: str, retry_after: int | None) -> None:
    statuses = [status.value for status in HTTPStatus if status >= 400]
    told = await in_the_client(node, *[(status, None, retry_after) for status in statuses])
    retried = {one["status"] for one in told["errors"] if one["retryable"]}
    always = {408} | {status for status in statuses if status >= 500}
    assert retried == (always if retry_after is None else always | {429})


async def test_a_real_problem_document_is_read(node: str) -> None:
    raised = [UploadMissing("part 2 has not arrived", missing_parts=[2]), DependencyUnavailable("store"),
              TooManyRequests("too many", retry_after=3)]  # fmt: skip
    answers = [(problem.status.value, problem.body(), problem.retry_after) for problem in raised]
    told = await in_the_client(node, *answers)
    assert [(one["slug"], one["message"], one["retryable"]) for one in told["errors"]] == [
        ("upload-missing", "part 2 has not arrived", False),
        ("dependency-unavailable", raised[1].detail, True),
        ("rate-limited", "too many", True),
    ]


async def test_answers_of_others_are_problems_too(node: str) -> None:
    """A type of a later service, a proxy's page, and nonsense."""
    later = {"type": "urn:mediabucket:problem:later", "title": "later", "detail": "not known yet"}
    told = await in_the_client(node, (409, later, None), (502, None, None), (404, "nonsense", None))
    assert [(one["name"], one["slug"], one["status"]) for one in told["errors"]] == [
        ("Problem", "later", 409), ("Problem", None, 502), ("Problem", None, 404)
    ]  # fmt: skip
    assert all(one["userMessage"] and one["message"] for one in told["errors"])
