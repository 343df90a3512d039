"""`mediabucket token`: bearer tokens for the platform of `mediabucket dev`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import jwt
import typer

from mediabucket_api.spec import MediaBucketSpec
from mediabucket_api.workload import Auth
from mediabucket_cli import data_directory
from mediabucket_cli.data_directory import DataDirectory
from mediabucket_cli.errors import CommandFailed

# What the service takes with a shared secret.
_ALGORITHM = "HS256"
_WEEK_SECONDS = 7 * 24 * 3600


def make_token(secret: str, user: str, auth: Auth, *, expires_in: int = _WEEK_SECONDS) -> str:
    """A token of `user` that lives `expires_in` seconds, with the issuer and audience that the manifest asks for."""
    wanted = {"iss": auth.issuer, "aud": auth.audience}
    expiry = datetime.now(UTC) + timedelta(seconds=expires_in)
    claims = {"sub": user, "exp": expiry} | {claim: value for claim, value in wanted.items() if value is not None}
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def token(
    sub: Annotated[str, typer.Option(help="The user that the token stands for.")],
    expires_in: Annotated[int, typer.Option(min=1, help="Seconds until it expires.")] = _WEEK_SECONDS,
    data: Annotated[Path, typer.Option(help="Data directory of the platform.")] = data_directory.DEFAULT,
) -> None:
    """Print a token for the development platform of a data directory.

    Example: mediabucket token --sub bob --expires-in 3600
    """
    directory = DataDirectory(data)
    if not (directory.jwt_secret.exists() and directory.spec.exists()):
        raise CommandFailed(f"no platform has run in {data}: start `mediabucket dev` first, or name it with --data")
    auth = MediaBucketSpec.model_validate_json(directory.spec.read_text()).service.auth
    if auth.jwks_url is not None:
        raise CommandFailed(f"the manifest trusts the keys at {auth.jwks_url}: get a token from their owner")
    if not 1 <= len(sub) <= 255:
        raise CommandFailed("--sub must have 1 to 255 characters")
    typer.echo(make_token(directory.jwt_secret.read_text(), sub, auth, expires_in=expires_in))
