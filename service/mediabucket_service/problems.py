"""Everything the API refuses, and how: RFC 9457 problem details, `application/problem+json`.

One class per cause, each with its slug, status and title:

    Problem
    ├── MalformedRequest      400  malformed-request       (member `errors`: [{field, message}])
    ├── FileTooLarge          400  file-too-large
    ├── TypeNotAllowed        400  type-not-allowed
    ├── Unauthenticated       401  unauthenticated
    ├── Forbidden             403  forbidden
    ├── RouteNotFound         404  not-found
    ├── MediaNotFound         404  media-not-found
    ├── MethodNotAllowed      405  method-not-allowed
    ├── UploadMissing         409  upload-missing          (worth a retry)
    ├── ConfirmInProgress     409  confirm-in-progress     (worth a retry)
    ├── MediaInUse            409  media-in-use
    ├── NoPartsExpected       409  no-parts-expected
    ├── UploadExpired         410  upload-expired
    ├── MediaDeleted          410  media-deleted
    ├── RequestTooLarge       413  request-too-large
    ├── UploadMismatch        422  upload-mismatch
    ├── TooManyRequests       429  rate-limited
    ├── InternalError         500  internal-error          (a bug; member `error_id` is in the log)
    └── DependencyUnavailable 503  dependency-unavailable  (member `dependency` names it)

Services raise these; only the handlers at the end of this module turn them into responses.
"""

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar, Final

import psycopg
import psycopg.errors
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mediabucket_s3 import errors as s3
from mediabucket_service.documents import DOCUMENTS_UNAVAILABLE
from mediabucket_service.methods import allowed_methods
from mediabucket_service.request_context import current_request
from mediabucket_service.wording import BAD_BODY, field_error

logger = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:mediabucket:problem:"
RETRY_SECONDS: Final = 2
MAX_ERRORS_TOLD: Final = 20


class Problem(Exception):
    """A refusal that the caller can read. `detail` is a sentence for a person; `extra` becomes members of the body."""

    slug: ClassVar[str]
    status: ClassVar[HTTPStatus]
    title: ClassVar[str]

    def __init__(self, detail: str, *, retry_after: int | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.extra = extra

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    def body(self) -> dict[str, Any]:
        """The members of the problem document. `error` repeats `detail` for clients that know no other member."""
        return {
            "type": f"{TYPE_PREFIX}{self.slug}",
            "title": self.title,
            "status": self.status.value,
            "detail": self.detail,
            "error": self.detail,
            **self.extra,
        }


class MalformedRequest(Problem):
    slug = "malformed-request"
    status = HTTPStatus.BAD_REQUEST
    title = "The request is malformed"


class FileTooLarge(Problem):
    slug = "file-too-large"
    status = HTTPStatus.BAD_REQUEST
    title = "The file is too large"


class TypeNotAllowed(Problem):
    slug = "type-not-allowed"
    status = HTTPStatus.BAD_REQUEST
    title = "Files of this type are not allowed"


class Unauthenticated(Problem):
    """`reason` is an error code of RFC 6750 section 3.1; absent when the request carried no credentials at all."""

    slug = "unauthenticated"
    status = HTTPStatus.UNAUTHORIZED
    title = "A valid token is needed"

    def __init__(self, detail: str, *, reason: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        challenge = 'Bearer realm="mediabucket"'
        if self.reason is not None:
            challenge += f', error="{self.reason}", error_description="{self.detail}"'
        return {"WWW-Authenticate": challenge}


class Forbidden(Problem):
    """The token is good and does not suffice: RFC 6750 section 3.1, `insufficient_scope`."""

    slug = "forbidden"
    status = HTTPStatus.FORBIDDEN
    title = "The token does not allow this"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="mediabucket", error="insufficient_scope"'}


class RouteNotFound(Problem):
    slug = "not-found"
    status = HTTPStatus.NOT_FOUND
    title = "There is nothing at this address"


class MediaNotFound(Problem):
    """Unknown media and media of somebody else alike: the difference is nobody's business."""

    slug = "media-not-found"
    status = HTTPStatus.NOT_FOUND
    title = "There is no such media"


class MethodNotAllowed(Problem):
    slug = "method-not-allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED
    title = "This address does not answer that method"


class UploadMissing(Problem):
    slug = "upload-missing"
    status = HTTPStatus.CONFLICT
    title = "The bytes have not arrived yet"


class ConfirmInProgress(Problem):
    slug = "confirm-in-progress"
    status = HTTPStatus.CONFLICT
    title = "The media is being confirmed right now"


class MediaInUse(Problem):
    slug = "media-in-use"
    status = HTTPStatus.CONFLICT
    title = "A message refers to the media"


class NoPartsExpected(Problem):
    slug = "no-parts-expected"
    status = HTTPStatus.CONFLICT
    title = "This upload takes no parts"


class UploadExpired(Problem):
    slug = "upload-expired"
    status = HTTPStatus.GONE
    title = "The upload has expired"


class MediaDeleted(Problem):
    slug = "media-deleted"
    status = HTTPStatus.GONE
    title = "The media has been deleted"


class RequestTooLarge(Problem):
    slug = "request-too-large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "The request body is too large"


class UploadMismatch(Problem):
    slug = "upload-mismatch"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The uploaded bytes are not what was announced"


class TooManyRequests(Problem):
    slug = "rate-limited"
    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many requests"


class InternalError(Problem):
    slug = "internal-error"
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "The service has a bug"


class DependencyUnavailable(Problem):
    """`dependency` names it in words: store, database, documents, identity provider."""

    slug = "dependency-unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Something the service depends on does not answer"

    def __init__(self, dependency: str, *, failure: str | None = None, retry_after: int = RETRY_SECONDS) -> None:
        failure = failure or f"the {dependency} cannot be reached right now"
        super().__init__(
            f"{failure}; try again in {retry_after} seconds", retry_after=retry_after, dependency=dependency
        )


_store_unavailable = partial(DependencyUnavailable, "store")

# What an S3 error means to a caller when the code that met it had nothing better to say.
S3_PROBLEMS: Final[Mapping[type[s3.S3Error], Callable[[], Problem]]] = {
    s3.S3Error: _store_unavailable,
    s3.ObjectMissing: partial(
        UploadMissing, "the store does not hold these bytes yet; upload them, then try again", retry_after=1
    ),
    s3.PreconditionFailed: partial(
        ConfirmInProgress, "the bytes changed while they were being checked; try again", retry_after=1
    ),
    s3.BucketMissing: _store_unavailable,
    s3.BucketTaken: _store_unavailable,
    s3.BucketNotEmpty: _store_unavailable,
    # Only the operator asks for users; were it otherwise, no client could do anything about it.
    s3.IdentityMissing: _store_unavailable,
    s3.IdentityExists: _store_unavailable,
    s3.LimitReached: _store_unavailable,
    s3.ConfigurationMissing: _store_unavailable,
    s3.AccessDenied: _store_unavailable,
    s3.NotImplementedByStore: _store_unavailable,
    s3.InvalidRequest: _store_unavailable,
    s3.Throttled: _store_unavailable,
    s3.StoreUnavailable: _store_unavailable,
    # Room is made by people.
    s3.StoreFull: partial(_store_unavailable, failure="the store has no room for this file", retry_after=60),
}

UNAVAILABLE: Final[Mapping[type[Exception], str]] = {
    # Pool timeouts and closed pools are operational errors too.
    psycopg.OperationalError: "database",
    psycopg.InterfaceError: "database",
    # A primary that has just become a standby.
    psycopg.errors.ReadOnlySqlTransaction: "database",
    **dict.fromkeys(DOCUMENTS_UNAVAILABLE, "documents"),
    TimeoutError: "dependency",
}

HTTP_PROBLEMS: Final[Mapping[int, Callable[[str], Problem]]] = {
    # FastAPI's answer to bytes that are not UTF-8, and to JSON nested or written out too deep to be read.
    HTTPStatus.BAD_REQUEST: lambda _: MalformedRequest("body must be valid JSON in UTF-8", errors=[BAD_BODY]),
    HTTPStatus.NOT_FOUND: lambda _: RouteNotFound("there is nothing at this address"),
    HTTPStatus.METHOD_NOT_ALLOWED: lambda _: MethodNotAllowed("this address does not answer that method"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: RequestTooLarge,
    HTTPStatus.TOO_MANY_REQUESTS: TooManyRequests,
}


def problem_for_s3(error: s3.S3Error) -> Problem:
    """The problem of the nearest class in `S3_PROBLEMS`."""
    return next(S3_PROBLEMS[cause] for cause in type(error).__mro__ if cause in S3_PROBLEMS)()


def problem_for_validation(error: RequestValidationError) -> MalformedRequest:
    """All that is wrong with a request, a sentence for each field; never the input itself."""
    found = [field_error(item) for item in error.errors()]
    sentences = [f"{item['field']} {item['message']}" for item in found[:MAX_ERRORS_TOLD]]
    if len(found) > MAX_ERRORS_TOLD:
        sentences.append(f"and {len(found) - MAX_ERRORS_TOLD} more")
    return MalformedRequest("; ".join(sentences), errors=found[:MAX_ERRORS_TOLD])


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    context = current_request()
    body = problem.body() | ({} if context is None else {"request_id": context.request_id})
    told = {**(headers or {}), **problem.headers}
    return JSONResponse(body, problem.status, headers=told, media_type=CONTENT_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every exception that can leave a route with a problem document."""

    async def refused(_: Request, error: Problem) -> JSONResponse:
        return problem_response(error)

    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(problem_for_validation(error))

    async def framework_refused(request: Request, error: HTTPException) -> JSONResponse:
        headers = error.headers
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers = {"Allow": allowed_methods(request, error)}
        return problem_response(_problem_for_http(error), headers)

    async def store_failed(_: Request, error: s3.S3Error) -> JSONResponse:
        problem = problem_for_s3(error)
        logger.warning("answered %s: %s", problem.slug, error)
        return problem_response(problem)

    async def unavailable(_: Request, error: Exception) -> JSONResponse:
        dependency = next(UNAVAILABLE[cause] for cause in type(error).__mro__ if cause in UNAVAILABLE)
        logger.warning("the %s is unavailable: %s", dependency, error)
        return problem_response(DependencyUnavailable(dependency))

    async def failed(_: Request, error: Exception) -> JSONResponse:
        return problem_response(_internal_error(error))

    handlers: dict[type[Exception], Callable[..., Any]] = {
        Problem: refused,
        RequestValidationError: malformed,
        HTTPException: framework_refused,
        s3.S3Error: store_failed,
        Exception: failed,
        **dict.fromkeys(UNAVAILABLE, unavailable),
    }
    for cause, handler in handlers.items():
        app.add_exception_handler(cause, handler)


def _problem_for_http(error: HTTPException) -> Problem:
    """Refusals that the framework itself raises; those it has no name for are the request's fault below 500."""
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _internal_error(error)
    return HTTP_PROBLEMS.get(error.status_code, MalformedRequest)(error.detail)


def _internal_error(error: Exception) -> InternalError:
    error_id = uuid.uuid4().hex
    logger.error("error %s", error_id, exc_info=error)
    detail = f"the service failed and the failure was logged as {error_id}; please report it"
    return InternalError(detail, error_id=error_id)


def response_documentation(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses=` for a route that answers with these problems.

    The `default` entry also keeps FastAPI from documenting its own 422, which this service never answers.
    """
    documented: dict[int | str, dict[str, Any]] = {"default": _documented("Any other problem", ())}
    for status in sorted({problem.status for problem in problems}):
        same_status = [problem for problem in problems if problem.status == status]
        description = "; ".join(f"`{problem.slug}`: {problem.title}" for problem in same_status)
        documented[status.value] = _documented(description, same_status)
    return documented


def _documented(description: str, problems: Iterable[type[Problem]]) -> dict[str, Any]:
    text = {"type": "string"}
    names = [f"{TYPE_PREFIX}{problem.slug}" for problem in problems]
    schema = {
        "type": "object",
        "required": ["type", "title", "status", "detail", "error"],
        "properties": {
            "type": {**text, "enum": names} if names else text,
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "error": text,
            "request_id": text,
        },
    }
    return {"description": description, "content": {CONTENT_TYPE: {"schema": schema}}}
