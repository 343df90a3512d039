"""Why a file was not uploaded: a sentence that ends with what to do. The API's refusals say that themselves."""

from http import HTTPStatus
from typing import Final

from mediabucket.client.errors import ConnectionFailed, NotVerifiedYet, StoreRefused, UploadLost, UrlExpired

_REPEAT: Final = "then run the same command again: what has arrived is not sent twice"
# The first that fits.
_NEXT_STEPS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (FileNotFoundError, "check the path"),
    (NotADirectoryError, "check the path"),
    (IsADirectoryError, "name the files in it"),
    (PermissionError, "let your user read it"),
    (OSError, f"check the disk that it is on, {_REPEAT}"),
    (ConnectionFailed, f"check the network and the address, {_REPEAT}"),
    (NotVerifiedYet, f"wait a minute, {_REPEAT}"),
    (UrlExpired, "tell those who run the service to check its clock and the store's, and what its keys may do"),
    (UploadLost, "run the same command again: the file is announced anew"),
)
_STORE_FAILS: Final = f"wait a minute, {_REPEAT}"
_STORE_REFUSES: Final = "show this to those who run the service; the same again will not help"


def told(error: BaseException) -> str:
    """In one line."""
    # OSError's own text begins with a number.
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    step = _next_step(error)
    return " ".join((f"{said}; {step}" if step else said).split())


def _next_step(error: BaseException) -> str | None:
    for kind, step in _NEXT_STEPS:
        if isinstance(error, kind):
            return step
    if not isinstance(error, StoreRefused):
        return None
    may_pass = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status == HTTPStatus.TOO_MANY_REQUESTS
    return _STORE_FAILS if may_pass else _STORE_REFUSES
