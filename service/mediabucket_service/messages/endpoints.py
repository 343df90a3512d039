"""The HTTP calls of messages."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from mediabucket_service.dependencies import CurrentUser, MessageFlows, PageLimit
from mediabucket_service.direct_route import DirectRoute, answered
from mediabucket_service.flows import MessagePage, SentMessage
from mediabucket_service.messages.schemas import Name, SendMessage
from mediabucket_service.problems import (
    ConfirmInProgress,
    DependencyUnavailable,
    MalformedRequest,
    MediaDeleted,
    MediaNotFound,
    RequestTooLarge,
    TooManyRequests,
    Unauthenticated,
    UploadExpired,
    UploadMismatch,
    UploadMissing,
    response_documentation,
)

ALWAYS = (MalformedRequest, Unauthenticated, TooManyRequests, DependencyUnavailable)

router = APIRouter(prefix="/api/messages", tags=["messages"], route_class=DirectRoute)


@router.post(
    "/send",
    responses=response_documentation(
        *ALWAYS,
        MediaNotFound,
        UploadMissing,
        ConfirmInProgress,
        UploadExpired,
        MediaDeleted,
        UploadMismatch,
        RequestTooLarge,
    ),
)
async def send_message(request: SendMessage, user: CurrentUser, flows: MessageFlows, response: Response) -> SentMessage:
    """Send a message. Media that are uploaded but not confirmed yet are confirmed on the way."""
    response.headers["Cache-Control"] = "no-store"
    return await flows.send_message(user.id, request)


@router.get("", response_model=MessagePage, responses=response_documentation(*ALWAYS))
async def list_messages(
    _: CurrentUser,
    flows: MessageFlows,
    conversation_id: Annotated[Name, Query(description="as in the messages that were sent")],
    before: Annotated[str | None, Query(max_length=64, description="`next` of the page before")] = None,
    limit: PageLimit = 50,
) -> Response:
    """The messages of a conversation, newest first, with their media."""
    return answered(await flows.messages(conversation_id, before=before, limit=limit))
