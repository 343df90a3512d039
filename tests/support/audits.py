"""An audit of a running platform's bucket, as `mediabucket audit` makes one."""

from collections.abc import Collection
from datetime import timedelta

from service_platform import Platform

from mediabucket_service.auditing import audit_bucket
from mediabucket_service.media.audit import AuditReport

# The store's clock shows whole seconds: an object may seem to be made after now.
NO_FLOOR = timedelta(seconds=-5)


async def audited(
    platform: Platform, *, repair: bool = False, floor: timedelta = NO_FLOOR, users: Collection[str] = ()
) -> AuditReport:
    return await audit_bucket(platform.settings, platform.connection, repair=repair, floor=floor, users=users)
