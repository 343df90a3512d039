"""Request bodies here are small JSON documents in UTF-8: a larger one is refused before it is read into memory.

Not Starlette's own limit, which answers in plain text instead of a problem document.
"""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 256 * 1024


class BodyLimit:
    """ASGI middleware: a body over MAX_BODY_BYTES, announced or not, ends in 413; one that holds NUL in 400."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        received = int(announced) if announced.isdecimal() and int(announced) > MAX_BODY_BYTES else 0

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


def _too_large() -> HTTPException:
    # The framework's own exception: it is the one that FastAPI lets through while it reads a body.
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the request body is larger than {MAX_BODY_BYTES} bytes; files go to upload_url, not to this API",
    )
