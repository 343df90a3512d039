"""The client for programs without an event loop."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx

from mediabucket.client import calls
from mediabucket.client.calls import MediaId
from mediabucket.client.files import File, Upload
from mediabucket.client.models import Media, MediaPage, MediaStatus, MediaType, Message, MessagePage
from mediabucket.client.progress import OnProgress, Progress
from mediabucket.client.requests import Settings
from mediabucket.client.retry import Retry
from mediabucket.client.sync_runner import SyncRunner
from mediabucket.client.uploads import Outcome, upload_file, upload_files
from mediabucket.client.wire import Api, timeout


class Client:
    """One user of a MediaBucket API. Use it as a context, or `close` it; any number of threads may share it.

    Every method raises Problem for a refusal of the API, ConnectionFailed, UnexpectedAnswer; methods that upload
    StoreRefused, NotVerifiedYet, FileChanged, OSError and ValueError as well.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        retry: Retry | None = None,
        parallel_parts: int = 4,
        timeout_seconds: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        """`url`: of the API, such as https://media.example.com. `token`: a bearer token, or a function that is asked
        for one before each request, so that a long upload may outlive its token. `parallel_parts`: of each large file.
        `timeout_seconds`: how long nothing may be heard. `http`: for certificates and proxies of your own; it stays
        yours to close, and its timeout counts.

        Raises ValueError.
        """
        api = Api.at(url)
        self._settings = Settings(retry=retry or Retry(), parallel_parts=parallel_parts)
        self._own = httpx.Client(timeout=timeout(timeout_seconds)) if http is None else None
        self._runner = SyncRunner(http or self._own_http, api, token if callable(token) else lambda: token)

    @property
    def _own_http(self) -> httpx.Client:
        assert self._own is not None
        return self._own

    def upload(
        self,
        file: File,
        *,
        file_name: str | None = None,
        mime_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Media:
        """The completed media of a file: a path, or a binary file object that can be sought, from where it stands.

        What is already there is not sent again, neither a file nor the parts of a large one: to resume an upload, even
        of another process, upload the file again. Name and type follow from the file's name unless they are given.
        """
        upload = Upload(file, file_name, mime_type, metadata or {})
        return self._runner.run(upload_file(self._settings, upload, on_progress)).media

    def upload_many(
        self,
        files: Iterable[File | Upload],
        *,
        parallel: int = 4,
        on_progress: Callable[[int, Progress], None] | None = None,
        on_outcome: Callable[[int, Outcome], None] | None = None,
    ) -> Sequence[Outcome]:
        """What became of each file, in their order; one that fails does not keep the others back.

        At most `parallel` files at a time. The listeners are told the number of a file, from 0 on, and are called from
        several threads, for one file never at the same time.
        """
        uploads = [file if isinstance(file, Upload) else Upload(file) for file in files]
        return self._runner.run(
            upload_files(self._settings, uploads, parallel=parallel, on_progress=on_progress, on_outcome=on_outcome)
        )

    def get(self, media_id: MediaId) -> Media:
        """One of your media, in whatever state it is."""
        return self._runner.run(calls.get(self._settings, media_id))

    def list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        status: MediaStatus | None = None,
        media_type: MediaType | None = None,
    ) -> MediaPage:
        """Your media, newest first, all but deleted ones unless `status` says which; `limit` is at most 100."""
        flow = calls.list_media(self._settings, cursor=cursor, limit=limit, status=status, media_type=media_type)
        return self._runner.run(flow)

    def delete(self, media_id: MediaId) -> None:
        """Delete a media or cancel an upload. Raises MediaInUse while a message refers to it."""
        self._runner.run(calls.delete(self._settings, media_id))

    def download_url(self, media_id: MediaId) -> str:
        """Where the bytes of a completed media are: the CDN's URL, or a signed one that works for minutes."""
        return self._runner.run(calls.download_url(self._settings, media_id))

    def send_message(
        self,
        conversation_id: str,
        content: str = "",
        *,
        media_ids: Iterable[MediaId] = (),
        message_type: str | None = None,
        client_message_id: str | None = None,
    ) -> Message:
        """Send text, media or both. With the same `client_message_id` again it is the first message, not another."""
        told = {"content": content, "message_type": message_type, "client_message_id": client_message_id}
        return self._runner.run(calls.send_message(self._settings, conversation_id, media_ids, **told))

    def messages(self, conversation_id: str, *, before: str | None = None, limit: int | None = None) -> MessagePage:
        """The messages of a conversation, newest first, with their media."""
        flow = calls.messages(self._settings, conversation_id=conversation_id, before=before, limit=limit)
        return self._runner.run(flow)

    def close(self) -> None:
        """End the connections."""
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
