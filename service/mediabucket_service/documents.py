"""The MongoDB that holds messages when one is configured.

Only this module and `messages.repository_mongodb` know pymongo.
"""

from typing import Any, Final, Self, TypeAlias

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import ConnectionFailure, ExecutionTimeout, WTimeoutError

Document: TypeAlias = dict[str, Any]
Collection: TypeAlias = AsyncCollection[Document]

# What pymongo raises when the server cannot be reached or does not answer in time.
DOCUMENTS_UNAVAILABLE: Final = (ConnectionFailure, ExecutionTimeout, WTimeoutError)

DATABASE_UNLESS_NAMED: Final = "mediabucket"


class Documents:
    """A MongoDB client that connects when it is first used: a service may start while MongoDB is down."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        """`url` is a MongoDB URL and may name the database; `timeout_seconds` bounds each operation with its retries.

        Raises pymongo.errors.ConfigurationError for a malformed URL.
        """
        self._client: AsyncMongoClient[Document] = AsyncMongoClient(
            url,
            appname="mediabucket",
            uuidRepresentation="standard",
            tz_aware=True,
            timeoutMS=int(timeout_seconds * 1000),
            serverSelectionTimeoutMS=int(timeout_seconds * 1000),
        )
        self._database = self._client.get_default_database(DATABASE_UNLESS_NAMED)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    def collection(self, name: str) -> Collection:
        return self._database[name]

    async def check(self) -> None:
        """Raise one of DOCUMENTS_UNAVAILABLE when MongoDB cannot answer."""
        await self._database.command("ping")
