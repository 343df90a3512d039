"""Large files in parts: who begins a multipart upload, and how its parts become an object.

A multipart upload is begun outside of the database and then claimed for its row, so that a crash in between, or a lost
race, leaves an upload that no row has: the reaper aborts it. One that the store has lost is replaced when its uploader
announces the file again.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from mediabucket_api.spec import Integrity, Uploads
from mediabucket_s3.errors import InvalidRequest, NotImplementedByStore, ObjectMissing
from mediabucket_s3.objects import BucketObjects, UploadedPart
from mediabucket_service.media.announced import Announced
from mediabucket_service.media.keys import pending_key
from mediabucket_service.media.models import MediaFile
from mediabucket_service.media.multipart_repository import MultipartRepository
from mediabucket_service.media.part_plan import PartPlan, plan_parts
from mediabucket_service.media.repository import MediaRepository
from mediabucket_service.problems import ConfirmInProgress, UploadMissing

_TRIES: Final = 5
# Part numbers that a problem names; a client that lacks more asks for the whole list.
MAX_PARTS_TOLD: Final = 20

File = Announced | MediaFile


class MultipartUploads:
    """The multipart uploads of one bucket, from the first part to the whole object."""

    def __init__(
        self, uploads: Uploads, repository: MultipartRepository, media: MediaRepository, objects: BucketObjects
    ) -> None:
        self._part_bytes = uploads.multipart.part_bytes
        self._repository = repository
        self._media = media
        self._objects = objects
        # Learned from the first upload: see `BucketObjects.tells_part_checksums`.
        self._with_checksums = uploads.integrity == Integrity.SIGNED

    async def upload_of(self, file: File) -> tuple[str, PartPlan]:
        """The id of a pending file's multipart upload, begun if need be, and how the file is cut.

        Of several requests that begin one, one prevails and the others use its upload. Raises ConfirmInProgress when
        the file is settled meanwhile, S3Error when the store fails.
        """
        current: File | None = file
        for _ in range(_TRIES):
            if current is None or current.status != "pending":
                break
            if current.upload_id is not None and current.part_size is not None and await self._lives(current):
                return current.upload_id, PartPlan(current.file_size, current.part_size)
            plan = plan_parts(current.file_size, self._part_bytes)
            upload_id = await self._begin(current)
            if await self._repository.claim(current, upload_id, plan.part_size):
                return upload_id, plan
            await self._objects.abort_multipart_upload(pending_key(current.media_id), upload_id)
            current = next(iter(await self._media.find_many([file.media_id])), None)
        raise ConfirmInProgress("this file is being confirmed right now; initiate again", retry_after=1)

    async def arrived(self, file: MediaFile, plan: PartPlan) -> dict[int, UploadedPart]:
        """The parts that the store holds, by number. Raises ObjectMissing once they were completed or aborted."""
        listed = self._objects.list_parts(pending_key(file.media_id), file.upload_id or "")
        return latest_parts([part async for part in listed], plan)

    async def in_one_piece(self, file: File) -> bool:
        """Whether there is an object under the pending key: of all parts, or PUT as a whole."""
        try:
            await self._objects.head(pending_key(file.media_id))
        except ObjectMissing:
            return False
        return True

    async def assemble(self, file: MediaFile) -> None:
        """Make the pending object of the parts of a leased upload. The part URLs are dead from then on.

        Nothing to do for a file without a multipart upload, or one that an earlier try has assembled. A file that was
        PUT in one piece instead keeps that, and its multipart upload is aborted.
        Raises UploadMissing naming the parts that have to be uploaded, PreconditionFailed when one was uploaded anew.
        """
        if file.upload_id is None or file.part_size is None:
            return
        key, plan = pending_key(file.media_id), PartPlan(file.file_size, file.part_size)
        try:
            arrived = await self.arrived(file, plan)
            obstacle = obstacle_to_assembling(plan, {number: part.size for number, part in arrived.items()})
            if obstacle is None:
                parts = [arrived[number] for number in plan.numbers]
                await self._objects.complete_multipart_upload(key, file.upload_id, parts)
                return
        except ObjectMissing:
            obstacle = upload_lost()
        if not await self.in_one_piece(file):
            raise obstacle
        await self._objects.abort_multipart_upload(key, file.upload_id)

    async def _lives(self, file: File) -> bool:
        """Whether parts can still be sent, or none need be: the store aborts uploads of a certain age by itself."""
        living = await self._objects.has_multipart_upload(pending_key(file.media_id), file.upload_id or "")
        return living or await self.in_one_piece(file)

    async def _begin(self, file: File) -> str:
        key = pending_key(file.media_id)
        if not self._with_checksums:
            return await self._objects.create_multipart_upload(key, file.mime_type)
        try:
            upload_id = await self._objects.create_multipart_upload(key, file.mime_type, sha256=True)
            if await self._objects.tells_part_checksums(key, upload_id):
                return upload_id
            await self._objects.abort_multipart_upload(key, upload_id)
        except (InvalidRequest, NotImplementedByStore):
            pass
        upload_id = await self._objects.create_multipart_upload(key, file.mime_type)
        self._with_checksums = False
        return upload_id


def latest_parts(listed: Iterable[UploadedPart], plan: PartPlan) -> dict[int, UploadedPart]:
    """Of each part of the plan what was sent last; where the seconds tell no difference, what has the right size."""

    def age(part: UploadedPart) -> tuple[datetime, bool]:
        return part.last_modified, part.size == plan.size(part.part_number)

    planned = [part for part in listed if part.part_number in plan.numbers]
    return {part.part_number: part for part in sorted(planned, key=age)}


def obstacle_to_assembling(plan: PartPlan, sizes: Mapping[int, int]) -> UploadMissing | None:
    """What its uploader has to do before a file can be put together, None when all parts are there in their size.

    `sizes`: the bytes of each part that has arrived, by its number.
    """
    missing, wrong = plan.missing(sizes), plan.wrong(sizes)
    if not missing and not wrong:
        return None
    sentences = []
    if missing:
        sentences.append(f"{_parts(missing)} of {plan.count} {'has' if len(missing) == 1 else 'have'} not arrived")
    sentences += [
        f"part {number} has {sizes[number]} bytes and must have {plan.size(number)}"
        for number in wrong[:MAX_PARTS_TOLD]
    ]
    return UploadMissing(
        "; ".join(sentences) + ": PUT them, then confirm again",
        retry_after=1,
        missing_parts=missing[:MAX_PARTS_TOLD],
        wrong_parts=[{"part_number": number, "size": plan.size(number)} for number in wrong[:MAX_PARTS_TOLD]],
    )


def upload_lost() -> UploadMissing:
    """The store has neither the parts nor an object: its lifecycle rule, or somebody else, has removed them."""
    return UploadMissing("the store no longer holds this upload: initiate the same file again", retry_after=1)


def _parts(numbers: list[int]) -> str:
    named = ", ".join(map(str, numbers[:MAX_PARTS_TOLD]))
    more = len(numbers) - MAX_PARTS_TOLD
    return f"part{'s' if len(numbers) > 1 else ''} {named}" + (f" and {more} more" if more > 0 else "")
