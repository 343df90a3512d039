"""The HTTP call of the store: whoever knows the secret may say that objects have arrived."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request

from mediabucket_service.arrivals import Arrivals, ArrivalsSettled
from mediabucket_service.dependencies import services
from mediabucket_service.events.shapes import MAX_RECORDS, stored_objects
from mediabucket_service.problems import (
    DependencyUnavailable,
    MalformedRequest,
    RequestTooLarge,
    RouteNotFound,
    Unauthenticated,
    response_documentation,
)

router = APIRouter(prefix="/api/events", tags=["events"])

_BODY = {
    "required": True,
    "description": f"A notification of S3, MinIO, EventBridge or SeaweedFS, at most {MAX_RECORDS} records and 256 KiB",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


async def trusted_arrivals(
    request: Request,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    x_events_secret: Annotated[str | None, Header(description="the secret, instead of a bearer token")] = None,
) -> Arrivals:
    """What settles arrivals, for a caller who knows the secret. Raises RouteNotFound without one, Unauthenticated."""
    found = services(request)
    if found.events_secret is None:
        raise RouteNotFound("this service takes no notifications: set spec.service.events.secretRef")
    if not knows_secret(found.events_secret.get_secret_value(), authorization, x_events_secret):
        raise Unauthenticated("send the secret of spec.service.events as Authorization: Bearer <secret>")
    return found.arrivals


def knows_secret(secret: str, authorization: str | None, custom: str | None) -> bool:
    """Whether a header is the secret, in a time that tells nothing about it.

    `authorization`: `Bearer <secret>`, or the secret alone, which is all that some stores can be told to send.
    """
    scheme, _, token = (authorization or "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else None
    # Header values reach the application decoded as ISO 8859-1 (ASGI servers' convention for bytes of any encoding).
    offered = [value.encode("latin-1") for value in (bearer, authorization, custom) if value]
    return any(hmac.compare_digest(value, secret.encode()) for value in offered)


@router.post(
    "/s3",
    responses=response_documentation(
        MalformedRequest, Unauthenticated, RouteNotFound, RequestTooLarge, DependencyUnavailable
    ),
    openapi_extra={"requestBody": _BODY},
)
async def take_notification(
    request: Request, arrivals: Annotated[Arrivals, Depends(trusted_arrivals)]
) -> ArrivalsSettled:
    """The store says that objects have arrived: uploads among them are confirmed as if their clients had asked."""
    return await arrivals.settle(stored_objects(await request.body()))
