"""The calls of the API besides uploads, as flows."""

import uuid
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from uuid import UUID

from mediabucket.client.errors import UnexpectedAnswer
from mediabucket.client.models import Media, MediaPage, Message, MessagePage
from mediabucket.client.requests import Settings, call, read, settled
from mediabucket.client.steps import ApiCall, Flow

MediaId = UUID | str


def get(settings: Settings, media_id: MediaId) -> Flow[Media]:
    answer = yield from call(settings, ApiCall("GET", _path(media_id)))
    media: Media = read(answer, Media)
    return media


def list_media(settings: Settings, **query: object) -> Flow[MediaPage]:
    answer = yield from call(settings, ApiCall("GET", "/api/media", query=_query(query)))
    page: MediaPage = read(answer, MediaPage)
    return page


def delete(settings: Settings, media_id: MediaId) -> Flow[None]:
    answer = yield from call(settings, ApiCall("DELETE", _path(media_id)))
    if answer.status != HTTPStatus.NO_CONTENT:
        raise UnexpectedAnswer(answer.status, "the answer is not what the API answers")


def download_url(settings: Settings, media_id: MediaId) -> Flow[str]:
    answer = yield from settled(settings, ApiCall("GET", f"{_path(media_id)}/content", redirects=True))
    if "location" not in answer.headers:
        raise UnexpectedAnswer(answer.status, "the answer leads nowhere")
    return answer.headers["location"]


def send_message(
    settings: Settings, conversation_id: str, media_ids: Iterable[MediaId], **members: object
) -> Flow[Message]:
    """The service takes a message once: with an id of its own it can be told from a repetition."""
    told = {name: value for name, value in members.items() if value is not None}
    body: Mapping[str, object] = {
        "conversation_id": conversation_id,
        "media_ids": [str(_identifier(media_id)) for media_id in media_ids],
        "client_message_id": str(uuid.uuid4()),
        **told,
    }
    answer = yield from settled(settings, ApiCall("POST", "/api/messages/send", body))
    message: Message = read(answer, Message)
    return message


def messages(settings: Settings, **query: object) -> Flow[MessagePage]:
    answer = yield from call(settings, ApiCall("GET", "/api/messages", query=_query(query)))
    page: MessagePage = read(answer, MessagePage)
    return page


def _path(media_id: MediaId) -> str:
    return f"/api/media/{_identifier(media_id)}"


def _identifier(media_id: MediaId) -> UUID:
    """Raises ValueError for what is no media id, which could lead to another address."""
    return media_id if isinstance(media_id, UUID) else UUID(media_id)


def _query(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}
