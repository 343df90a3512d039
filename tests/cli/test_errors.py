"""Whatever a store says, a person at a shell is told what to do."""

import pytest

from mediabucket_cli.errors import CommandFailed, sentence
from mediabucket_s3 import errors
from mediabucket_s3.errors import S3Error

KINDS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, S3Error)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_error_ends_with_what_to_do(kind: type[S3Error]) -> None:
    error = kind("HeadBucket", "Code", 400, resource="photos")
    told = sentence(error)
    assert told.startswith("HeadBucket photos: Code (HTTP 400): ")
    assert told != f"{error}: "
    assert any(verb in told for verb in ("check", "make", "choose", "shows", "free", "wait", "look"))


def test_a_full_store_is_not_told_to_be_away() -> None:
    told = sentence(errors.StoreFull("PutObject", "507", 507))
    assert "free space" in told


def test_a_sentence_of_ours_stays_as_it_is() -> None:
    assert sentence(CommandFailed("name a file")) == "name a file"
