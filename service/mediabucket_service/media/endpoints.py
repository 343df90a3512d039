"""The HTTP calls of media."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response, status
from fastapi.responses import RedirectResponse

from mediabucket_service.dependencies import CurrentUser, Initiating, Media, MediaId, PageLimit
from mediabucket_service.direct_route import DirectRoute, answered
from mediabucket_service.media.models import MediaStatus, MediaType
from mediabucket_service.media.schemas import (
    ExistingMedia,
    InitiatedUploads,
    InitiateUpload,
    InitiateUploads,
    MediaPage,
    MediaView,
    MultipartTicket,
    RefusedFile,
    UploadTicket,
)
from mediabucket_service.media.verifications import RETRY_SECONDS
from mediabucket_service.problems import (
    ConfirmInProgress,
    DependencyUnavailable,
    FileTooLarge,
    MalformedRequest,
    MediaDeleted,
    MediaInUse,
    MediaNotFound,
    Problem,
    RequestTooLarge,
    TooManyRequests,
    TypeNotAllowed,
    Unauthenticated,
    UploadExpired,
    UploadMismatch,
    UploadMissing,
    response_documentation,
)
from mediabucket_service.request_context import note_media

ALWAYS = (MalformedRequest, Unauthenticated, TooManyRequests, DependencyUnavailable)

router = APIRouter(prefix="/api/media", tags=["media"], route_class=DirectRoute)


@router.post(
    "/upload/initiate",
    responses=response_documentation(*ALWAYS, FileTooLarge, TypeNotAllowed, ConfirmInProgress, RequestTooLarge),
)
async def initiate_upload(
    request: InitiateUpload, user: CurrentUser, initiating: Initiating, response: Response
) -> UploadTicket | MultipartTicket | ExistingMedia:
    """Announce a file: get a URL to PUT it to, or the media if you have uploaded these bytes before."""
    response.headers["Cache-Control"] = "no-store"
    answer = await initiating.initiate(user.id, request)
    note_media(answer.media_id)
    return answer


@router.post(
    "/upload/initiate/batch",
    responses=response_documentation(*ALWAYS, RequestTooLarge),
)
async def initiate_uploads(
    request: InitiateUploads, user: CurrentUser, initiating: Initiating, response: Response
) -> InitiatedUploads:
    """Announce up to 100 files. One that is refused does not keep the others back: look at each answer."""
    response.headers["Cache-Control"] = "no-store"
    answers = await initiating.initiate_many(user.id, request.files)
    return InitiatedUploads(
        results=[RefusedFile(**answer.body()) if isinstance(answer, Problem) else answer for answer in answers]
    )


@router.post(
    "/{media_id}/confirm",
    responses={
        202: {"model": MediaView, "description": "still being verified: ask again after `Retry-After` seconds"},
        **response_documentation(*ALWAYS, MediaNotFound, UploadMissing, UploadExpired, MediaDeleted, UploadMismatch),
    },
)
async def confirm_upload(media_id: MediaId, user: CurrentUser, media: Media, response: Response) -> MediaView:
    """Say that the bytes are uploaded: they are verified and published. Repeat it as often as you like."""
    response.headers["Cache-Control"] = "no-store"
    file = await media.confirm_or_pending(user.id, media_id)
    if file.status == MediaStatus.PENDING:
        response.status_code = status.HTTP_202_ACCEPTED
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return media.view(file)


@router.get("/{media_id}", responses=response_documentation(*ALWAYS, MediaNotFound, MediaDeleted))
async def get_media(media_id: MediaId, user: CurrentUser, media: Media, response: Response) -> MediaView:
    """One of your media, in whatever state it is."""
    response.headers["Cache-Control"] = "no-store"
    return media.view(await media.get(user.id, media_id))


@router.get("", response_model=MediaPage, responses=response_documentation(*ALWAYS))
async def list_media(
    user: CurrentUser,
    media: Media,
    cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before")] = None,
    limit: PageLimit = 50,
    status: Annotated[MediaStatus | None, Query(description="all but deleted ones when absent")] = None,
    media_type: Annotated[MediaType | None, Query(description="all when absent")] = None,
) -> Response:
    """Your media, newest first."""
    return answered(await media.page(user.id, cursor=cursor, limit=limit, status=status, media_type=media_type))


@router.get(
    "/{media_id}/content",
    status_code=status.HTTP_307_TEMPORARY_REDIRECT,
    response_class=RedirectResponse,
    responses=response_documentation(
        *ALWAYS, MediaNotFound, UploadMissing, UploadExpired, MediaDeleted, UploadMismatch
    ),
)
async def get_content(media_id: MediaId, user: CurrentUser, media: Media) -> RedirectResponse:
    """The bytes of a completed media, by a redirect to where they are served."""
    return RedirectResponse(await media.content_url(user.id, media_id), headers={"Cache-Control": "no-store"})


@router.delete(
    "/{media_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=response_documentation(*ALWAYS, MediaNotFound, MediaInUse),
)
async def delete_media(media_id: MediaId, user: CurrentUser, media: Media) -> None:
    """Delete a media or cancel an upload. Refused while a message refers to it; repeating it changes nothing."""
    await media.delete(user.id, media_id)
