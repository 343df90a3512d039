"""One attempt to deliver one event over HTTP."""

from typing import Final, Self

import aiohttp

from mediabucket_service.webhooks.signing import SignedRequest

TIMEOUT_SECONDS: Final = 10
MAX_BODY_BYTES: Final = 1024


class Sender:
    """An HTTP client for answers that nobody reads: no redirects, no cookies, no bodies."""

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Each endpoint's share is bounded by who calls: a common limit would let a dead one use it up.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            read_bufsize=MAX_BODY_BYTES,
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, url: str, request: SignedRequest) -> int | str:
        """The status of the answer, or a sentence about why there was none."""
        assert self._session is not None, "enter the sender before use"
        try:
            # Leaving the block drops the connection unless the body has arrived already, unread.
            async with self._session.post(
                url, data=request.body, headers=request.headers, allow_redirects=False
            ) as answer:
                return answer.status
        except TimeoutError:
            return f"no answer within {self._timeout.total:g} seconds"
        except ValueError as error:
            # A URL or a host name that the manifest's pattern lets through; the message would quote it, query and all.
            return f"the URL cannot be used ({type(error).__name__})"
        except (aiohttp.ClientError, OSError) as error:
            return f"{type(error).__name__}: {error}"
