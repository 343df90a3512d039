"""An audit as a program runs it: with the settings and the connection of the service."""

from collections.abc import Collection
from datetime import timedelta

from mediabucket_api.connection import BucketConnection
from mediabucket_service.app import open_storage
from mediabucket_service.media.audit import Audit, AuditReport
from mediabucket_service.media.audit_repository import AuditRepository
from mediabucket_service.media.reaper import BytesRemover
from mediabucket_service.media.removal_repository import RemovalRepository
from mediabucket_service.media.restoration import Restoration
from mediabucket_service.settings import Settings


async def audit_bucket(
    settings: Settings, connection: BucketConnection, *, repair: bool, floor: timedelta, users: Collection[str] = ()
) -> AuditReport:
    """Compare rows and objects, both ways; see `Audit` and `Restoration`. Raises S3Error and database errors."""
    async with open_storage(settings, connection) as storage:
        removal = RemovalRepository(storage.database, connection.bucket)
        repository = AuditRepository(storage.database, connection.bucket)
        remover = BytesRemover(removal, storage.objects)
        restoration = Restoration(repository, storage.objects, connection.spec.cdn.url_of, users)
        return await Audit(repository, remover, storage.objects, restoration, floor=floor).run(repair=repair)
