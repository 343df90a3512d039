"""The HTTP calls about parts of large files."""

from fastapi import APIRouter, Response

from mediabucket_service.dependencies import CurrentUser, MediaId, Parts
from mediabucket_service.media.endpoints import ALWAYS
from mediabucket_service.media.part_schemas import PartUrls, UploadProgress, WantedParts
from mediabucket_service.problems import (
    MediaDeleted,
    MediaNotFound,
    NoPartsExpected,
    RequestTooLarge,
    UploadExpired,
    UploadMismatch,
    UploadMissing,
    response_documentation,
)

SETTLED = (NoPartsExpected, UploadExpired, MediaDeleted, UploadMismatch)

router = APIRouter(prefix="/api/media", tags=["media"])


@router.post("/{media_id}/parts", responses=response_documentation(*ALWAYS, MediaNotFound, *SETTLED, RequestTooLarge))
async def part_urls(
    media_id: MediaId, request: WantedParts, user: CurrentUser, parts: Parts, response: Response
) -> PartUrls:
    """Get fresh URLs for some parts of a large file; where uploads are signed, say the SHA-256 of each part."""
    response.headers["Cache-Control"] = "no-store"
    return await parts.urls(user.id, media_id, request.wanted)


@router.get("/{media_id}/parts", responses=response_documentation(*ALWAYS, MediaNotFound, UploadMissing, *SETTLED))
async def upload_progress(media_id: MediaId, user: CurrentUser, parts: Parts, response: Response) -> UploadProgress:
    """Which parts of a large file have arrived: after a restart, upload only the others."""
    response.headers["Cache-Control"] = "no-store"
    return await parts.progress(user.id, media_id)
