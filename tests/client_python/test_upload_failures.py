"""Whatever keeps a file back, `mediabucket upload` says what to do about it."""

import pytest

from mediabucket.client import errors
from mediabucket.client.errors import MediaBucketError, StoreRefused
from mediabucket.client.problems import Problem
from mediabucket_cli.upload_failures import told

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, MediaBucketError) and kind is not MediaBucketError
]
STEPS = ("check ", "name ", "let ", "wait ", "run ", "show ", "tell ", "upload it again", " address that of")
FILES = [FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError, OSError]


def made(kind: type[MediaBucketError]) -> MediaBucketError:
    if issubclass(kind, StoreRefused):
        return kind(403, "Code")
    if kind is errors.UnexpectedAnswer:
        return errors.UnexpectedAnswer(502, "nonsense")
    # What the client itself says of it, in files.py.
    return kind("it became shorter; upload it again" if kind is errors.FileChanged else "it went wrong")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_client_ends_with_what_to_do(kind: type[MediaBucketError]) -> None:
    # One of them is a question: "is the address that of the MediaBucket API?"
    said, _, step = told(made(kind)).partition(": is the" if kind is errors.UnexpectedAnswer else "; ")
    assert said
    assert step.startswith(STEPS)


@pytest.mark.parametrize("kind", FILES)
def test_an_error_of_the_system_is_told_without_its_number(kind: type[OSError]) -> None:
    said = told(kind(5, "It went\nwrong", "a.png"))
    assert said.startswith("It went wrong; ")
    assert said.partition("; ")[2].startswith(STEPS)


@pytest.mark.parametrize(("status", "step"), [(503, "wait"), (429, "wait"), (400, "show"), (403, "show")])
def test_what_may_pass_is_tried_again_and_what_may_not_is_not(status: int, step: str) -> None:
    assert told(StoreRefused(status, "Code", "why")).startswith(f"the store answered {status}, Code: why; {step} ")


def test_a_refusal_of_the_api_says_itself_what_to_do() -> None:
    assert told(Problem(400, {"detail": "too large: choose a smaller one"})) == "too large: choose a smaller one"
