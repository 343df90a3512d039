"""The HTTP call that erases a user."""

from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BaseModel, Field

from mediabucket_service.auth import MAX_USER_LENGTH, has_control_characters
from mediabucket_service.dependencies import Administrator, UserErasures
from mediabucket_service.problems import (
    DependencyUnavailable,
    Forbidden,
    MalformedRequest,
    RouteNotFound,
    TooManyRequests,
    Unauthenticated,
    response_documentation,
)

RETRY_SECONDS: Final = 1


class ErasureReport(BaseModel):
    """What has been erased of a user, all their erasures together; to be called again while `completed_at` is null."""

    media: int = Field(description="media of the user, in whatever state they were")
    objects: int = Field(description="objects in the store, each version for itself")
    bytes: int = Field(description="bytes of these objects")
    references: int = Field(description="references from messages to these media; the messages stay")
    requested_at: datetime = Field(description="when the last erasure that found something began")
    completed_at: datetime | None = Field(default=None, description="when it was done; null while it is not")


def _user(text: str) -> str:
    if has_control_characters(text):
        raise ValueError("text should not contain control characters")
    return text


UserId = Annotated[
    str,
    Path(min_length=1, max_length=MAX_USER_LENGTH, description="the `sub` of the user's tokens"),
    AfterValidator(_user),
]

UNFINISHED: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.ACCEPTED.value: {
        "model": ErasureReport,
        "description": "Not done yet: repeat the call after the seconds in Retry-After",
    }
}

router = APIRouter(prefix="/api/users", tags=["users"])


# `:path`, because a user's name may contain slashes; a line break, which no name may contain, is no address (404).
@router.delete(
    "/{sub:path}/media",
    responses=response_documentation(
        MalformedRequest, Unauthenticated, Forbidden, RouteNotFound, TooManyRequests, DependencyUnavailable
    )
    | UNFINISHED,
)
async def erase_media(sub: UserId, _: Administrator, erasures: UserErasures, response: Response) -> ErasureReport:
    """Erase all media of the user whom tokens name as `sub`: rows, objects with all versions, references, events.

    Webhooks are told media.deleted for each of them that was completed, with its id and nothing else.
    Needs a token with the administrators' scope. Repeat it while it answers 202 or 503: it goes on. Repeated after
    the end it gives the same report, or erases what the user has uploaded since, counted on top.
    """
    receipt = await erasures.erase(sub)
    response.headers["Cache-Control"] = "no-store"
    if receipt.completed_at is None:
        response.status_code = HTTPStatus.ACCEPTED
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return ErasureReport(**asdict(receipt))
