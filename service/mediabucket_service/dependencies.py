"""What routes ask for, as types.

All of it is async: FastAPI runs plain functions in a thread, which costs more than what they do.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from mediabucket_service.auth import TokenVerifier, User
from mediabucket_service.flows import Flows
from mediabucket_service.media.initiate import Initiation
from mediabucket_service.media.part_urls import PartUploads
from mediabucket_service.media.service import MediaService
from mediabucket_service.media.verifications import Verifications


@dataclass(frozen=True)
class Services:
    """What a running application answers with; made once, at start-up."""

    media: MediaService
    initiation: Initiation
    parts: PartUploads
    verifications: Verifications
    flows: Flows
    verifier: TokenVerifier


def services(request: Request) -> Services:
    """The services of the running application."""
    found: Services = request.app.state.services
    return found


async def current_user(
    request: Request, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> User:
    """Who the bearer token names. Raises Unauthenticated."""
    return await services(request).verifier.user(authorization)


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


CurrentUser = Annotated[User, Depends(current_user)]
Initiating = Annotated[Initiation, Depends(initiation)]
Media = Annotated[MediaService, Depends(media_service)]
MessageFlows = Annotated[Flows, Depends(message_flows)]
Parts = Annotated[PartUploads, Depends(part_uploads)]
