"""Audits by the upload service's own code.

Imported only where an audit is run: the service's libraries take as long as all others of this command together.
"""

import asyncio
import os
from collections.abc import Collection
from datetime import timedelta

from pydantic import SecretStr, ValidationError

from mediabucket_api.connection import BucketConnection, ConnectionIncomplete
from mediabucket_cli.errors import CommandFailed
from mediabucket_service.auditing import audit_bucket
from mediabucket_service.media.audit import AuditReport
from mediabucket_service.settings import Settings

_SETTINGS = "set what the upload service has, docs/operations.md lists it; or unset BUCKET_NAME for `mediabucket dev`"


def audit_as_configured(*, repair: bool, floor: timedelta, users: Collection[str]) -> tuple[str, AuditReport]:
    """An audit of the bucket and with the settings of the environment; answers the bucket, too.

    Raises CommandFailed naming what the environment lacks.
    """
    try:
        settings, connection = Settings(), BucketConnection.from_environment(os.environ)
    except ConnectionIncomplete as error:
        raise CommandFailed(f"{error}; {_SETTINGS}") from error
    except ValidationError as error:
        names = ", ".join(f"MEDIABUCKET_{'.'.join(map(str, item['loc'])).upper()}" for item in error.errors())
        raise CommandFailed(f"missing or wrong in the environment: {names}; {_SETTINGS}") from error
    return connection.bucket, _audit(settings, connection, repair=repair, floor=floor, users=users)


def audit_media(
    database_url: str,
    connection: BucketConnection,
    *,
    repair: bool,
    floor: timedelta,
    users: Collection[str] = (),
) -> AuditReport:
    """An audit of this bucket against this database."""
    return _audit(Settings(database_url=SecretStr(database_url)), connection, repair=repair, floor=floor, users=users)


def _audit(
    settings: Settings, connection: BucketConnection, *, repair: bool, floor: timedelta, users: Collection[str]
) -> AuditReport:
    return asyncio.run(audit_bucket(settings, connection, repair=repair, floor=floor, users=users))
