"""Every refusal is a problem document: the right status, a sentence for a person, no echo of what was sent."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import psycopg
import psycopg_pool
import pytest
from fastapi import FastAPI
from pymongo.errors import ServerSelectionTimeoutError
from starlette.exceptions import HTTPException

from mediabucket_s3 import errors as s3
from mediabucket_service import problems
from mediabucket_service.messages.schemas import SendMessage
from mediabucket_service.problems import (
    DependencyUnavailable,
    FileTooLarge,
    MediaInUse,
    MediaNotFound,
    Problem,
    TooManyRequests,
    Unauthenticated,
    UploadMissing,
    install_problem_handlers,
    response_documentation,
)

Ask = Callable[..., Any]


def subclasses(root: type[Any]) -> Iterator[type[Any]]:
    for child in root.__subclasses__():
        yield child
        yield from subclasses(child)


@pytest.fixture
def raised() -> list[Exception]:
    """What the route /fail raises: its last element."""
    return []


@pytest.fixture
async def http(raised: list[Exception]) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_problem_handlers(app)

    @app.get("/fail", responses=response_documentation(MediaNotFound, MediaInUse, UploadMissing))
    async def fail() -> None:
        raise raised[-1]

    @app.post("/messages/{number}")
    async def send(number: int, message: SendMessage) -> None:
        raise NotImplementedError

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


def assert_is_problem(answer: httpx.Response, slug: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:mediabucket:problem:{slug}"
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"]
    assert body["error"] == body["detail"]
    return body


def make(problem: type[Problem]) -> Problem:
    return problem("what went wrong")


@pytest.mark.parametrize("problem", list(subclasses(Problem)), ids=lambda problem: problem.slug)
async def test_every_problem_is_answered_with_its_status(
    problem: type[Problem], http: httpx.AsyncClient, raised: list[Exception]
) -> None:
    raised.append(make(problem))
    answer = await http.get("/fail")
    assert answer.status_code == problem.status
    body = assert_is_problem(answer, problem.slug)
    assert body["title"] == problem.title
    assert "what went wrong" in body["detail"]


def test_no_two_problems_share_a_slug() -> None:
    slugs = [problem.slug for problem in subclasses(Problem)]
    assert sorted(set(slugs)) == sorted(slugs)


def test_the_docstring_lists_every_problem_with_its_status() -> None:
    table = problems.__doc__ or ""
    for problem in subclasses(Problem):
        line = next(line for line in table.splitlines() if f" {problem.__name__} " in line)
        assert line.split()[2:4] == [str(problem.status.value), problem.slug]


@pytest.mark.parametrize("error", [s3.S3Error, *subclasses(s3.S3Error)], ids=lambda error: error.__name__)
async def test_every_error_of_the_store_is_answered_without_its_detail(
    error: type[s3.S3Error], http: httpx.AsyncClient, raised: list[Exception]
) -> None:
    assert error in problems.S3_PROBLEMS
    raised.append(error("GetObject", "SomeCode", 400, "secret detail", "secret/key"))
    answer = await http.get("/fail")
    assert answer.status_code in (409, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("error", "dependency"),
    [
        (psycopg.OperationalError("connection refused by 10.0.0.7"), "database"),
        (psycopg.InterfaceError("the connection is lost"), "database"),
        (psycopg.errors.QueryCanceled("statement timeout"), "database"),
        (psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT"), "database"),
        (psycopg_pool.PoolTimeout("no connection in time"), "database"),
        (ServerSelectionTimeoutError("no server at 10.0.0.7"), "documents"),
        (TimeoutError(), "dependency"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
async def test_a_dependency_that_does_not_answer_is_503_and_named(
    error: Exception, dependency: str, http: httpx.AsyncClient, raised: list[Exception]
) -> None:
    raised.append(error)
    answer = await http.get("/fail")
    assert answer.status_code == 503
    body = assert_is_problem(answer, "dependency-unavailable")
    assert body["dependency"] == dependency
    assert int(answer.headers["retry-after"]) > 0
    assert "10.0.0.7" not in answer.text


async def test_a_bug_is_500_with_an_id_that_leads_to_the_log(
    http: httpx.AsyncClient, raised: list[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    raised.append(KeyError("private"))
    with caplog.at_level(logging.ERROR, "mediabucket_service.problems"):
        answer = await http.get("/fail")
    assert answer.status_code == 500
    body = assert_is_problem(answer, "internal-error")
    assert "private" not in answer.text
    assert body["error_id"] in caplog.text
    assert "KeyError" in caplog.text


@pytest.mark.parametrize(
    ("raises", "status", "slug"),
    [
        (HTTPException(413, "too much"), 413, "request-too-large"),
        (HTTPException(429, "slow down"), 429, "rate-limited"),
        (HTTPException(418, "a teapot"), 400, "malformed-request"),
        (HTTPException(502, "upstream"), 500, "internal-error"),
    ],
)
async def test_refusals_of_the_framework_are_problems_too(
    raises: HTTPException, status: int, slug: str, http: httpx.AsyncClient, raised: list[Exception]
) -> None:
    raised.append(raises)
    answer = await http.get("/fail")
    assert answer.status_code == status
    assert_is_problem(answer, slug)


async def test_an_unknown_address_is_404(http: httpx.AsyncClient) -> None:
    answer = await http.get("/nowhere")
    assert answer.status_code == 404
    assert_is_problem(answer, "not-found")


async def test_a_wrong_method_is_405_and_says_what_is_allowed(http: httpx.AsyncClient) -> None:
    answer = await http.delete("/fail")
    assert answer.status_code == 405
    assert_is_problem(answer, "method-not-allowed")
    assert answer.headers["allow"] == "GET"


async def test_a_missing_token_is_challenged_without_an_error_code(
    http: httpx.AsyncClient, raised: list[Exception]
) -> None:
    raised.append(Unauthenticated("send a token"))
    assert (await http.get("/fail")).headers["www-authenticate"] == 'Bearer realm="mediabucket"'


async def test_a_wrong_token_is_challenged_with_the_reason(http: httpx.AsyncClient, raised: list[Exception]) -> None:
    raised.append(Unauthenticated("the token has expired", reason="invalid_token"))
    challenge = (await http.get("/fail")).headers["www-authenticate"]
    assert challenge == ('Bearer realm="mediabucket", error="invalid_token", error_description="the token has expired"')


async def test_retry_after_and_extra_members_reach_the_client(http: httpx.AsyncClient, raised: list[Exception]) -> None:
    raised.append(TooManyRequests("wait", retry_after=7, limit="pendingPerUser"))
    answer = await http.get("/fail")
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["limit"] == "pendingPerUser"


async def test_what_cannot_be_tried_again_has_no_retry_after(http: httpx.AsyncClient, raised: list[Exception]) -> None:
    raised.append(FileTooLarge("too large"))
    assert "retry-after" not in (await http.get("/fail")).headers


def test_a_dependency_says_when_to_come_back() -> None:
    problem = DependencyUnavailable("store", retry_after=5)
    assert problem.detail == "the store cannot be reached right now; try again in 5 seconds"


A_MESSAGE = '{"conversation_id": "general", "content": "hello"'

MALFORMED: list[tuple[str, bytes, list[str]]] = [
    ("no body", b"", ["body is required"]),
    ("not JSON", b"{", ["body must be valid JSON in UTF-8"]),
    ("not UTF-8", b'{"content": "\xff"}', ["body must be valid JSON in UTF-8"]),
    ("nested too deep", b"[" * 100_000, ["body must be valid JSON in UTF-8"]),
    ("a number too long to read", b'{"content": ' + b"9" * 5_000 + b"}", ["body must be valid JSON in UTF-8"]),
    ("a list", b"[]", ["body must be a JSON object"]),
    ("null", b"null", ["body must be a JSON object"]),
    ("several fields at once", b'{"content": 5, "media_ids": {}}', [
        "conversation_id is required", "content must be a text", "media_ids must be a list"
    ]),
    ("empty text", b'{"conversation_id": "", "content": "x"}', ["conversation_id must have at least 1 character"]),
    ("half a surrogate pair", A_MESSAGE.encode() + b', "message_type": "\\ud800"}', [
        "message_type must not contain half of a surrogate pair"
    ]),
    ("an element of a list", A_MESSAGE.encode() + b', "media_ids": ["\\u0000"]}', ["media_ids.0 must be a UUID"]),
    ("text that is too long", A_MESSAGE.encode() + b', "message_type": "' + b"x" * 90_000 + b'"}', [
        "message_type must have at most 32 characters"
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "sentences"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
async def test_a_malformed_request_is_told_all_that_is_wrong(
    body: bytes, sentences: list[str], http: httpx.AsyncClient
) -> None:
    answer = await http.post("/messages/1", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    told = assert_is_problem(answer, "malformed-request")
    for sentence in sentences:
        assert sentence in told["detail"]
    assert len(told["errors"]) == len(sentences)


async def test_a_path_that_is_no_number_is_told_by_its_name(http: httpx.AsyncClient) -> None:
    answer = await http.post("/messages/one", content=f"{A_MESSAGE}}}", headers={"Content-Type": "application/json"})
    assert answer.json()["errors"] == [{"field": "number", "message": "must be a whole number"}]


async def test_what_was_sent_is_never_echoed_at_length(http: httpx.AsyncClient) -> None:
    body = {"conversation_id": "general", "media_ids": ["not an id " * 1_000] * 50}
    answer = await http.post("/messages/1", json=body)
    told = assert_is_problem(answer, "malformed-request")
    assert len(told["errors"]) == 20
    assert told["detail"].endswith("and 30 more")
    assert "not an id" not in answer.text


async def test_the_documentation_lists_problems_and_no_422_of_the_framework(http: httpx.AsyncClient) -> None:
    documented = (await http.get("/openapi.json")).json()["paths"]["/fail"]["get"]["responses"]
    assert sorted(documented) == ["200", "404", "409", "default"]
    conflict = documented["409"]["content"]["application/problem+json"]["schema"]["properties"]["type"]
    assert conflict["enum"] == ["urn:mediabucket:problem:media-in-use", "urn:mediabucket:problem:upload-missing"]
