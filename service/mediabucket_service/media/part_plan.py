"""How a file is cut into parts: pure functions, no I/O.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_PARTS: Final = 10_000
MIN_PART_BYTES: Final = 5 * 1024**2
MAX_PART_BYTES: Final = 5 * 1024**3
_MOST_URLS: Final = 1_000
_MEBIBYTE: Final = 1024**2


@dataclass(frozen=True)
class PartPlan:
    """A file of `file_size` bytes in parts of `part_size` bytes each, but for the last, which has what remains."""

    file_size: int
    part_size: int

    @property
    def count(self) -> int:
        """How many parts there are; they are numbered from 1."""
        return -(-self.file_size // self.part_size)

    @property
    def numbers(self) -> range:
        """The numbers of all parts."""
        return range(1, self.count + 1)

    def size(self, part_number: int) -> int:
        """The bytes of one part. Raises ValueError for a number that is not in `numbers`."""
        if part_number not in self.numbers:
            raise ValueError(f"there are parts 1 to {self.count}, and no part {part_number}")
        return min(self.part_size, self.file_size - (part_number - 1) * self.part_size)

    def missing(self, arrived: Mapping[int, int]) -> list[int]:
        """The parts that are not in `arrived`, which has the bytes of each part by its number."""
        return [number for number in self.numbers if number not in arrived]

    def wrong(self, arrived: Mapping[int, int]) -> list[int]:
        """The parts that have arrived with another size than theirs."""
        return [number for number in self.numbers if number in arrived and arrived[number] != self.size(number)]


def plan_parts(file_size: int, preferred_part_size: int) -> PartPlan:
    """The plan for a file of `file_size` bytes: parts as large as preferred, larger where there would be too many.

    More than a thousand are too many, since each has a URL in the answer, unless they would be larger than S3 takes.

    Raises ValueError for a file that no 10,000 parts of 5 GiB can hold, or without bytes.
    """
    if not 1 <= file_size <= MAX_PARTS * MAX_PART_BYTES:
        raise ValueError(f"a file of {file_size} bytes cannot be uploaded in parts")
    fewest_bytes = -(-file_size // _MOST_URLS)
    needed = -(-fewest_bytes // _MEBIBYTE) * _MEBIBYTE
    return PartPlan(file_size, min(max(preferred_part_size, needed, MIN_PART_BYTES), MAX_PART_BYTES))
