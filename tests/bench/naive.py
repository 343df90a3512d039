"""The same API as one writes it in an afternoon: correct on a good day, and the peer to measure against.

Plain functions, a SQLModel session for each request, SELECT then INSERT, boto3 for URLs and for the store, PyJWT on
every request. It promises much less: nobody holds the bytes to their checksum, and two requests at once can both
insert.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import boto3
import jwt
from botocore.config import Config
from botocore.exceptions import ClientError
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlalchemy import Column, DateTime
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, create_engine, select

BUCKET = os.environ["BUCKET_NAME"]
JWT_SECRET = os.environ["MEDIABUCKET_JWT_SECRET"]
MAX_BYTES = 100 * 1024 * 1024
ALLOWED = {"image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4", "audio/mpeg", "application/pdf"}
URL_SECONDS = 300

engine = create_engine(os.environ["NAIVE_DATABASE_URL"], pool_size=20, max_overflow=20)
s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["BUCKET_ENDPOINT"],
    region_name=os.environ["BUCKET_REGION"],
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, max_pool_connections=50),
)
app = FastAPI()
bearer = HTTPBearer()


class Base(SQLModel, registry=registry()):
    pass


class Media(Base, table=True):
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: str = Field(index=True)
    file_name: str
    file_size: int
    mime_type: str
    checksum: str = Field(index=True)
    status: str = "pending"
    key: str
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC), sa_column=Column(DateTime(timezone=True)))


class Chat(Base, table=True):
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    conversation_id: str = Field(index=True)
    sender: str
    content: str
    media_id: UUID | None = None
    client_message_id: str | None = None
    sent_at: datetime = Field(default_factory=lambda: datetime.now(UTC), sa_column=Column(DateTime(timezone=True)))


class Announcement(BaseModel):
    file_name: str
    file_size: int = Field(gt=0, le=MAX_BYTES)
    mime_type: str
    checksum: str = Field(min_length=64, max_length=64)


class NewMessage(BaseModel):
    conversation_id: str
    content: str = ""
    media_ids: list[UUID] = []
    client_message_id: str | None = None


Base.metadata.create_all(engine)


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def get_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
    try:
        claims = jwt.decode(credentials.credentials, JWT_SECRET, algorithms=["HS256"])
    except jwt.PyJWTError as error:
        raise HTTPException(401, str(error)) from error
    user: str = claims["sub"]
    return user


SessionDep = Annotated[Session, Depends(get_session)]
UserDep = Annotated[str, Depends(get_user)]


@app.post("/api/media/upload/initiate")
def initiate(body: Announcement, user: UserDep, session: SessionDep) -> dict[str, Any]:
    if body.mime_type not in ALLOWED:
        raise HTTPException(400, f"{body.mime_type} is not allowed")
    known = select(Media).where(Media.user_id == user, Media.checksum == body.checksum, Media.status == "completed")
    if (media := session.exec(known).first()) is not None:
        return {"media_id": media.id, "cdn_url": signed_get(media), "exists": True}
    media = Media(user_id=user, key="", **body.model_dump())
    media.key = f"pending/{media.id}"
    session.add(media)
    session.commit()
    session.refresh(media)
    url = s3.generate_presigned_url(
        "put_object",
        Params={
            "Bucket": BUCKET,
            "Key": media.key,
            "ContentType": media.mime_type,
            "ContentLength": media.file_size,
        },
        ExpiresIn=URL_SECONDS,
    )
    headers = {"Content-Type": media.mime_type}
    return {"media_id": media.id, "upload_url": url, "headers": headers, "expires_in": URL_SECONDS, "exists": False}


@app.post("/api/media/{media_id}/confirm")
def confirm(media_id: UUID, user: UserDep, session: SessionDep) -> dict[str, Any]:
    media = owned(session, media_id, user)
    if media.status == "pending":
        try:
            head = s3.head_object(Bucket=BUCKET, Key=media.key)
        except ClientError as error:
            raise HTTPException(409, "nothing was uploaded") from error
        if head["ContentLength"] != media.file_size or head["ContentType"] != media.mime_type:
            raise HTTPException(422, "something else was uploaded")
        published = f"uploads/{user}/{media.id}"
        s3.copy_object(Bucket=BUCKET, Key=published, CopySource={"Bucket": BUCKET, "Key": media.key})
        s3.delete_object(Bucket=BUCKET, Key=media.key)
        media.key, media.status = published, "completed"
        session.add(media)
        session.commit()
        session.refresh(media)
    return view(media)


@app.get("/api/media")
def list_media(user: UserDep, session: SessionDep, limit: int = 50) -> dict[str, Any]:
    newest = Media.created_at.desc()  # type: ignore[attr-defined]
    found = session.exec(select(Media).where(Media.user_id == user).order_by(newest).limit(limit))
    return {"items": [view(media) for media in found]}


@app.post("/api/messages/send")
def send_message(body: NewMessage, user: UserDep, session: SessionDep) -> dict[str, Any]:
    for media_id in body.media_ids:
        if owned(session, media_id, user).status != "completed":
            raise HTTPException(409, "a file is not confirmed")
    message = Chat(
        conversation_id=body.conversation_id,
        sender=user,
        content=body.content,
        media_id=next(iter(body.media_ids), None),
        client_message_id=body.client_message_id,
    )
    session.add(message)
    session.commit()
    session.refresh(message)
    media = [view(owned(session, media_id, user)) for media_id in body.media_ids]
    return message.model_dump() | {"message_id": message.id, "media": media}


@app.get("/readyz")
def ready() -> dict[str, str]:
    return {"status": "ready"}


def owned(session: Session, media_id: UUID, user: str) -> Media:
    media = session.get(Media, media_id)
    if media is None or media.user_id != user:
        raise HTTPException(404, "no such media")
    return media


def view(media: Media) -> dict[str, Any]:
    url = signed_get(media) if media.status == "completed" else None
    return media.model_dump(exclude={"id", "key"}) | {"media_id": media.id, "url": url}


def signed_get(media: Media) -> str:
    url: str = s3.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": media.key}, ExpiresIn=URL_SECONDS
    )
    return url
