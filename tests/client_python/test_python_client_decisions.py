"""The pure parts of the Python client: waits, types of files, errors of every problem."""

from datetime import UTC, datetime
from typing import Any

import pytest

import mediabucket.client as public
from mediabucket.client import PROBLEMS, Problem, Retry, UnexpectedAnswer
from mediabucket.client.files import guessed_type
from mediabucket.client.requests import refusal_of
from mediabucket.client.retry import is_worth_a_retry, retry_after_seconds
from mediabucket.client.steps import Answer
from mediabucket_service import problems as service_problems

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def refusals(kind: type[Any] = service_problems.Problem) -> list[type[Any]]:
    """Every problem that the service has, those below others as well."""
    return [found for child in kind.__subclasses__() for found in (child, *refusals(child))]


@pytest.mark.parametrize("refusal", refusals(), ids=lambda refusal: refusal.__name__)
def test_every_problem_of_the_service_is_an_error_of_its_own(refusal: type[Any]) -> None:
    problem = refusal("it does not do, for a reason")
    body = service_problems.problem_response(problem).body
    error = refusal_of(Answer(problem.status, {"retry-after": "7"}, bytes(body)))
    assert type(error).__name__ == refusal.__name__
    assert isinstance(error, Problem)
    assert type(error) is getattr(public, refusal.__name__)
    assert str(error) == problem.detail
    assert (error.status, error.title, error.retry_after_seconds) == (problem.status, refusal.title, 7)


def test_no_error_is_for_a_problem_that_nobody_has() -> None:
    assert set(PROBLEMS) == {f"{service_problems.TYPE_PREFIX}{refusal.slug}" for refusal in refusals()}


def test_a_problem_of_a_later_service_is_a_plain_one() -> None:
    error = refusal_of(Answer(418, {}, b'{"type": "urn:mediabucket:problem:teapot", "detail": "short and stout"}'))
    assert type(error) is Problem
    assert str(error) == "short and stout"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'"no"', b"\xff"])
def test_what_is_no_problem_document_is_unexpected(body: bytes) -> None:
    assert isinstance(refusal_of(Answer(502, {}, body)), UnexpectedAnswer)


def test_everything_public_is_there() -> None:
    assert sorted(public.__all__) == sorted({name for name in public.__all__ if hasattr(public, name)})


def test_waits_are_anywhere_below_a_bound_that_doubles() -> None:
    for chance in (0.0, 0.5, 0.999):
        retry = Retry(attempts=9, first_seconds=1, longest_seconds=20, random=lambda chance=chance: chance)  # type: ignore[misc]
        waits = [retry.wait(failures, 0, None) for failures in range(1, 10)]
        assert waits == [pytest.approx(bound * chance) for bound in (1, 2, 4, 8, 16, 20, 20, 20)] + [None]


def test_retry_after_comes_before_jitter_and_patience_ends() -> None:
    retry = Retry(first_seconds=2, patience_seconds=10, random=lambda: 0.5)
    assert retry.wait(1, 0, 5) == 6
    assert retry.wait(1, 4, 5) == 10 - 4
    assert retry.wait(1, 5, 5) is None


def test_what_is_worth_a_retry() -> None:
    assert {status for status in range(100, 600) if is_worth_a_retry(status)} == {408, 429, *range(500, 600)}


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("3", 3),
        (" 120 ", 120),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Thu, 01 Jan 2025 00:01:00 GMT", 0),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(told: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": told}, NOW) == seconds


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("a.png", "image/png"),
        ("A.JPG", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.m4a", "audio/mp4"),
        ("a.mov", "video/quicktime"),
        ("a.pdf", "application/pdf"),
        ("a.tar.gz", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_a_type_follows_from_a_name(name: str, mime_type: str) -> None:
    assert guessed_type(name) == mime_type
