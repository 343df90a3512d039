"""Request bodies here are small JSON documents in UTF-8: a larger one is refused before it is read into memory.

Not Starlette's own limit, which answers in plain text instead of a problem document.
"""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 256 * 1024
# With neither a length nor chunks announced there is no body (RFC 9112 section 6.3), and nothing to look through.
_BODILESS = frozenset({"GET", "HEAD"})


class BodyLimit:
    """ASGI middleware: a body over MAX_BODY_BYTES, announced or not, ends in 413; one that holds NUL in 400."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if announced is None and scope["method"] in _BODILESS and not _is_chunked(scope):
            await self._app(scope, receive, send)
            return
        received = _beyond_limit(announced)

        async def limited_receive() -> Message:
            nonlocal received
            if received > MAX_BODY_BYTES:
                raise _too_large()
            message = await receive()
            body = message.get("body", b"")
            received += len(body)
            if received > MAX_BODY_BYTES:
                raise _too_large()
            # JSON in UTF-16 or UTF-32, which Python would read but whoever inspects requests on the way might not.
            if b"\0" in body:
                raise HTTPException(HTTPStatus.BAD_REQUEST)
            return message

        await self._app(scope, limited_receive, send)


def _is_chunked(scope: Scope) -> bool:
    return any(name == b"transfer-encoding" for name, _ in scope["headers"])


def _beyond_limit(announced: bytes | None) -> int:
    """How many bytes are too many before any has arrived; 0 when what is announced may come."""
    length = int(announced) if announced is not None and announced.isdigit() else 0
    return length if length > MAX_BODY_BYTES else 0


def _too_large() -> HTTPException:
    # The framework's own exception: it is the one that FastAPI lets through while it reads a body.
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the request body is larger than {MAX_BODY_BYTES} bytes; files go to upload_url, not to this API",
    )
