"""What clients send and get about the parts of a large file."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from mediabucket_service.media.schemas import PartUrl, Sha256

# As many as a body of 256 KiB holds with room to spare.
MAX_PARTS_ASKED = 1_000


class WantedPart(BaseModel):
    """A part to be uploaded; `checksum` is the SHA-256 of its bytes, needed where uploads are signed."""

    part_number: StrictInt
    checksum: Sha256 | None = None


class WantedParts(BaseModel):
    """Which parts to get URLs for, as `parts` or, without checksums, as `part_numbers`: one of the two."""

    parts: Annotated[list[WantedPart], Field(min_length=1, max_length=MAX_PARTS_ASKED)] | None = None
    part_numbers: Annotated[list[StrictInt], Field(min_length=1, max_length=MAX_PARTS_ASKED)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.parts is None) == (self.part_numbers is None):
            raise PydanticCustomError("one_of_two", "must have either parts or part_numbers")
        return self

    @property
    def wanted(self) -> list[WantedPart]:
        """The parts in the order asked for."""
        return self.parts or [WantedPart(part_number=number) for number in self.part_numbers or ()]


class PartUrls(BaseModel):
    """Fresh URLs for the parts asked for."""

    media_id: UUID
    part_size: int = Field(description="bytes of each part but the last")
    parts: list[PartUrl]
    method: Literal["PUT"] = "PUT"
    expires_in: int = Field(description="seconds")
    expires_at: datetime


class PartProgress(BaseModel):
    """Whether the store holds a part with all its `size` bytes."""

    part_number: int
    size: int
    arrived: bool


class UploadProgress(BaseModel):
    """What is there of a file that is uploaded in parts: upload the others, then confirm."""

    media_id: UUID
    part_size: int = Field(description="bytes of each part but the last")
    parts: list[PartProgress]
    expires_at: datetime = Field(description="when the upload is given up, unless its uploader shows up again")
