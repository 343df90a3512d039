"""Initiate: what may be uploaded, and the URL to upload it to."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from mediabucket_api.spec import MAX_SINGLE_PUT_BYTES, Integrity, Uploads
from mediabucket_s3.errors import S3Error
from mediabucket_s3.presign import Presigner
from mediabucket_service.clock import Clock, utc_now
from mediabucket_service.identifiers import new_identifier
from mediabucket_service.media.announced import Announced, NewUpload, UploadKey
from mediabucket_service.media.initiate_repository import InitiateRepository, Outcome
from mediabucket_service.media.keys import media_type_of, pending_key, published_key
from mediabucket_service.media.models import MediaStatus
from mediabucket_service.media.part_urls import PartUploads
from mediabucket_service.media.schemas import ExistingMedia, InitiateUpload, MultipartTicket, UploadTicket
from mediabucket_service.media.urls import MediaUrls
from mediabucket_service.media.user_limits import LimitExceeded
from mediabucket_service.metrics import UploadMetrics
from mediabucket_service.problems import (
    ConfirmInProgress,
    FileTooLarge,
    MalformedRequest,
    Problem,
    TooManyRequests,
    TypeNotAllowed,
    problem_for_s3,
)

_TRIES: Final = 5
# Multipart uploads of one batch that are begun at the same time.
_PARALLEL: Final = 8

Answer = UploadTicket | MultipartTicket | ExistingMedia


class Initiation:
    """Announces files of one bucket, under the rules of its MediaBucket."""

    def __init__(
        self,
        uploads: Uploads,
        repository: InitiateRepository,
        presigner: Presigner,
        urls: MediaUrls,
        parts: PartUploads,
        metrics: UploadMetrics,
        now: Clock = utc_now,
    ) -> None:
        self._uploads = uploads
        self._repository = repository
        self._presigner = presigner
        self._urls = urls
        self._parts = parts
        self._metrics = metrics
        self._now = now

    async def initiate(self, user_id: str, request: InitiateUpload) -> Answer:
        """A URL to upload to, or the media if the user has these bytes already.

        Raises FileTooLarge, TypeNotAllowed, MalformedRequest, TooManyRequests, ConfirmInProgress.
        """
        self._check_allowed(request)
        upload = self._new_upload(user_id, request)
        for _ in range(_TRIES):
            outcome = await self._repository.initiate(upload)
            if outcome is not None:
                return await self._answer(outcome, request)
        raise _settling()

    async def initiate_many(self, user_id: str, requests: Sequence[InitiateUpload]) -> list[Answer | Problem]:
        """`initiate` for several files in one round trip to the database, two where users have limits.

        What one of them would raise, an S3Error too, is its answer. Files with the same bytes share one media.
        """
        checked = [self._refusal(request) or self._new_upload(user_id, request) for request in requests]
        wanted = {upload.key: upload for upload in checked if isinstance(upload, NewUpload)}
        outcomes = await self._outcomes(list(wanted.values())) if wanted else {}
        slots = asyncio.Semaphore(_PARALLEL)

        async def answer(upload: NewUpload | Problem, request: InitiateUpload) -> Answer | Problem:
            if isinstance(upload, Problem):
                return upload
            async with slots:
                return await self._answer_or_problem(outcomes.get(upload.key), request)

        return await asyncio.gather(*map(answer, checked, requests))

    def _check_allowed(self, request: InitiateUpload) -> None:
        check_allowed(request, self._uploads)
        if not (request.multipart and self._parts.offered_for(request.file_size)):
            check_one_put(request)

    def _refusal(self, request: InitiateUpload) -> Problem | None:
        try:
            self._check_allowed(request)
        except Problem as problem:
            return problem
        return None

    async def _outcomes(self, uploads: list[NewUpload]) -> Mapping[UploadKey, Outcome]:
        outcomes: dict[UploadKey, Outcome] = {}
        for _ in range(_TRIES):
            missing = [upload for upload in uploads if upload.key not in outcomes]
            if not missing:
                break
            outcomes |= await self._repository.initiate_many(missing)
        return outcomes

    async def _answer_or_problem(self, outcome: Outcome | None, request: InitiateUpload) -> Answer | Problem:
        try:
            return await self._answer(outcome, request)
        except Problem as problem:
            return problem
        except S3Error as error:
            return problem_for_s3(error)

    async def _answer(self, outcome: Outcome | None, request: InitiateUpload) -> Answer:
        if outcome is None:
            raise _settling()
        if isinstance(outcome, LimitExceeded):
            raise _too_many(outcome)
        if outcome.status == MediaStatus.COMPLETED:
            return self._existing(outcome, request)
        self._metrics.initiated(outcome.media_type)
        if request.multipart and self._parts.offered_for(outcome.file_size):
            return await self._parts.ticket(outcome)
        return self._ticket(outcome)

    def _new_upload(self, user_id: str, request: InitiateUpload) -> NewUpload:
        media_id = new_identifier()
        mime_type = request.mime_type.lower()
        return NewUpload(
            media_id=media_id,
            uploaded_by=user_id,
            file_name=request.file_name,
            file_path=published_key(media_id, user_id, request.file_name, self._now()),
            media_type=media_type_of(mime_type),
            file_size=request.file_size,
            mime_type=mime_type,
            checksum=request.checksum,
            metadata=request.metadata,
        )

    def _existing(self, file: Announced, request: InitiateUpload) -> ExistingMedia:
        if file.file_size != request.file_size:
            raise MalformedRequest(
                f"file_size is {request.file_size}, but the file with this checksum has {file.file_size} bytes"
            )
        self._metrics.deduplicated(file.media_type)
        url = self._urls.of(file.file_path, file_name=file.file_name, mime_type=file.mime_type)
        return ExistingMedia(media_id=file.media_id, cdn_url=url)

    def _ticket(self, file: Announced) -> UploadTicket:
        signed = self._uploads.integrity == Integrity.SIGNED
        presigned = self._presigner.put(
            pending_key(file.media_id),
            content_type=file.mime_type,
            content_length=file.file_size,
            checksum_sha256=file.checksum if signed else None,
            if_none_match=signed,
            expires_in=self._uploads.url_ttl_seconds,
            now=self._now(),
        )
        return UploadTicket(
            media_id=file.media_id,
            upload_url=presigned.url,
            headers=presigned.headers,
            expires_in=self._uploads.url_ttl_seconds,
            expires_at=presigned.expires_at,
        )


def check_allowed(request: InitiateUpload, uploads: Uploads) -> None:
    """Raises FileTooLarge, TypeNotAllowed."""
    if request.file_size > uploads.max_bytes:
        raise FileTooLarge(
            f"the file has {request.file_size} bytes; at most {uploads.max_bytes} are allowed",
            max_bytes=uploads.max_bytes,
        )
    if request.mime_type.lower() not in uploads.allowed_mime_types:
        raise TypeNotAllowed(
            f"files of type {request.mime_type} are not allowed; allowed are " + ", ".join(uploads.allowed_mime_types),
            allowed_mime_types=uploads.allowed_mime_types,
        )


def check_one_put(request: InitiateUpload) -> None:
    """Raises FileTooLarge for what no single PUT can carry."""
    if request.file_size > MAX_SINGLE_PUT_BYTES:
        remedy = "the store takes no uploads in parts" if request.multipart else "initiate it with multipart: true"
        raise FileTooLarge(
            f"the file has {request.file_size} bytes; one PUT carries at most {MAX_SINGLE_PUT_BYTES}: {remedy}",
            max_bytes=MAX_SINGLE_PUT_BYTES,
        )


def _settling() -> ConfirmInProgress:
    return ConfirmInProgress("this file is being confirmed right now; initiate again", retry_after=1)


def _too_many(exceeded: LimitExceeded) -> TooManyRequests:
    what = "uploads are pending" if exceeded.limit == "pendingPerUser" else "bytes are stored or reserved"
    return TooManyRequests(
        f"{exceeded.used} {what} and {exceeded.allowed} are allowed: confirm, cancel or delete some first",
        retry_after=60,
        limit=exceeded.limit,
        allowed=exceeded.allowed,
        used=exceeded.used,
    )
