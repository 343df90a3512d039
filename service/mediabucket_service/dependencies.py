"""What routes ask for, as types.

All of it is async: FastAPI runs plain functions in a thread, which costs more than what they do.
"""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPBearer
from pydantic import SecretStr

from mediabucket_service.arrivals import Arrivals
from mediabucket_service.auth import TokenVerifier, User
from mediabucket_service.flows import Flows
from mediabucket_service.media.erasure import Erasures
from mediabucket_service.media.initiate import Initiation
from mediabucket_service.media.part_urls import PartUploads
from mediabucket_service.media.service import MediaService
from mediabucket_service.media.verifications import Verifications
from mediabucket_service.problems import Forbidden, Unauthenticated
from mediabucket_service.rate_limit import RateLimiter
from mediabucket_service.request_context import note_user

MediaId = Annotated[UUID, Path(description="as initiate has answered it")]
PageLimit = Annotated[int, Query(ge=1, le=100, description="how many at most")]


@dataclass(frozen=True)
class Services:
    """What a running application answers with; made once, at start-up. Without `limiter` calls are not counted."""

    media: MediaService
    initiation: Initiation
    parts: PartUploads
    verifications: Verifications
    flows: Flows
    erasures: Erasures
    verifier: TokenVerifier
    limiter: RateLimiter | None
    admin_scope: str
    arrivals: Arrivals
    events_secret: SecretStr | None


def services(request: Request) -> Services:
    """The services of the running application."""
    found: Services = request.app.state.services
    return found


async def current_user(request: Request) -> User:
    """Who the bearer token names. Raises Unauthenticated, and TooManyRequests for more calls than the user may make."""
    found = services(request)
    sent = request.headers.getlist("authorization")
    if len(sent) > 1:
        # A proxy in front may have looked at another of them than this service would.
        raise Unauthenticated("send one Authorization header, not several", reason="invalid_request")
    user = await found.verifier.user(sent[0] if sent else None)
    note_user(user.id)
    if found.limiter is not None:
        await found.limiter.admit(user.id)
    return user


async def documented_user(
    request: Request, _: Annotated[object, Depends(HTTPBearer(auto_error=False, bearerFormat="JWT"))]
) -> User:
    """`current_user` for FastAPI's routes: the bearer token is in the OpenAPI document as their security."""
    return await current_user(request)


CurrentUser = Annotated[User, Depends(documented_user)]


async def administrator(request: Request, user: CurrentUser) -> User:
    """A user whose token has the scope of `spec.service.auth.adminScope`. Raises Forbidden."""
    needed = services(request).admin_scope
    if needed not in user.scopes:
        raise Forbidden(f"this call needs a token whose scope contains {needed}: ask whoever issues your tokens")
    return user


async def media_service(request: Request) -> MediaService:
    """The media of this application's bucket."""
    return services(request).media


async def initiation(request: Request) -> Initiation:
    """What announces files of this application's bucket."""
    return services(request).initiation


async def part_uploads(request: Request) -> PartUploads:
    """What gives the URLs of parts."""
    return services(request).parts


async def message_flows(request: Request) -> Flows:
    """Work over media and messages."""
    return services(request).flows


async def erasures(request: Request) -> Erasures:
    """Erasures in this application's bucket."""
    return services(request).erasures


Initiating = Annotated[Initiation, Depends(initiation)]
Administrator = Annotated[User, Depends(administrator)]
UserErasures = Annotated[Erasures, Depends(erasures)]
Media = Annotated[MediaService, Depends(media_service)]
MessageFlows = Annotated[Flows, Depends(message_flows)]
Parts = Annotated[PartUploads, Depends(part_uploads)]
