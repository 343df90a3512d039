"""The application: settings and a bucket in, routes out. Nothing connects before the server starts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.connection import BucketConnection
from mediabucket_s3.objects import BucketObjects
from mediabucket_s3.presign import Presigner
from mediabucket_service import health
from mediabucket_service.auth import TokenVerifier
from mediabucket_service.body_limit import BodyLimit
from mediabucket_service.cors import allow_origins
from mediabucket_service.database import Database
from mediabucket_service.dependencies import Services
from mediabucket_service.documents import Documents
from mediabucket_service.flows import Flows
from mediabucket_service.media import endpoints as media_endpoints
from mediabucket_service.media import erasure_endpoints
from mediabucket_service.media.confirm import Confirmation
from mediabucket_service.media.erasure import Erasures
from mediabucket_service.media.erasure_repository import ErasureRepository
from mediabucket_service.media.initiate import Initiation
from mediabucket_service.media.initiate_repository import InitiateRepository
from mediabucket_service.media.reaper import BytesRemover, Reaper
from mediabucket_service.media.removal_repository import RemovalRepository
from mediabucket_service.media.repository import MediaRepository
from mediabucket_service.media.service import MediaService
from mediabucket_service.media.urls import MediaUrls
from mediabucket_service.messages import endpoints as message_endpoints
from mediabucket_service.messages.repository import MessageRepository
from mediabucket_service.messages.repository_mongodb import MongoMessageRepository
from mediabucket_service.messages.repository_postgresql import PostgresMessageRepository
from mediabucket_service.metrics import Metrics
from mediabucket_service.nosniff import NoSniff
from mediabucket_service.pages import install_pages
from mediabucket_service.problems import install_problem_handlers
from mediabucket_service.rate_limit import RateLimiter, forget_full
from mediabucket_service.settings import Settings


@dataclass(frozen=True)
class Storage:
    """What is open while the application runs."""

    database: Database
    objects: BucketObjects
    documents: Documents | None


def create_app(settings: Settings, connection: BucketConnection) -> FastAPI:
    """The upload API of one bucket. Raises ValueError when tokens could not be checked with these settings."""
    metrics = Metrics()
    verifier = token_verifier(settings, connection)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_storage(settings, connection) as storage:
            services, reaper = build_services(settings, connection, storage, metrics, verifier)
            app.state.services = services
            app.state.checks = _checks(storage)
            async with _running(reaper):
                yield

    app = FastAPI(
        title="MediaBucket",
        version="1",
        summary="Direct-to-store media uploads: announce a file, PUT it to the store, refer to it by id.",
        lifespan=lifespan,
        # A redirect would be built from the Host header, which the caller chooses.
        redirect_slashes=False,
    )
    install_problem_handlers(app)
    app.add_middleware(BodyLimit)
    allow_origins(app, connection.spec.cors)
    metrics.install(app)
    app.add_middleware(NoSniff)
    for router in (media_endpoints.router, erasure_endpoints.router, message_endpoints.router, health.router):
        app.include_router(router)
    install_pages(app, connection)
    return app


@asynccontextmanager
async def open_storage(settings: Settings, connection: BucketConnection) -> AsyncIterator[Storage]:
    """Open the database, the store and MongoDB if there is one; none of them needs to answer yet."""
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database_url.get_secret_value(),
            pool_size=settings.database_pool_size,
            timeout_seconds=settings.database_timeout_seconds,
        )
        documents = None
        if settings.mongodb_url is not None:
            documents = Documents(
                settings.mongodb_url.get_secret_value(), timeout_seconds=settings.database_timeout_seconds
            )
            await stack.enter_async_context(documents)
        yield Storage(
            database=await stack.enter_async_context(database),
            objects=await stack.enter_async_context(BucketObjects.connect(connection.store, connection.bucket)),
            documents=documents,
        )


def build_services(
    settings: Settings, connection: BucketConnection, storage: Storage, metrics: Metrics, verifier: TokenVerifier
) -> tuple[Services, Reaper]:
    """Put the parts together: what requests are answered with, and the clean-up beside it."""
    repository = MediaRepository(storage.database, connection.bucket)
    removal = RemovalRepository(storage.database, connection.bucket)
    remover = BytesRemover(removal, storage.objects)
    confirmation = Confirmation(
        repository,
        storage.objects,
        metrics.uploads,
        cdn_url=connection.spec.cdn.url_of,
        lease_seconds=settings.confirm_lease_seconds,
        wait_seconds=settings.confirm_wait_seconds,
        # Unless a probe says otherwise it is tried once.
        store_hashes_copies=connection.capabilities.get(CapabilityName.CHECKSUM_ON_COPY, "Enforced") == "Enforced",
    )
    presigner = Presigner(connection.store, connection.bucket)
    urls = MediaUrls(connection.spec, presigner)
    media = MediaService(connection.spec, repository, urls, confirmation, remover, metrics.uploads)
    uploads = connection.spec.uploads
    announced = InitiateRepository(storage.database, connection.bucket, stale_after_seconds=uploads.stale_after_seconds)
    initiation = Initiation(uploads, announced, presigner, urls, metrics.uploads)
    flows = Flows(media, _messages(storage))
    reaper = Reaper(
        removal,
        remover,
        storage.objects,
        connection.spec.uploads,
        metrics.uploads,
        interval_seconds=settings.reaper_interval_seconds,
        sweep_interval_seconds=settings.sweep_interval_seconds,
        also=(flows.sweep_references, partial(forget_full, storage.database, connection.bucket)),
    )
    services = Services(
        media=media,
        initiation=initiation,
        flows=flows,
        erasures=Erasures(
            ErasureRepository(storage.database, connection.bucket),
            storage.objects,
            answer_seconds=settings.erasure_answer_seconds,
        ),
        verifier=verifier,
        limiter=_limiter(storage, connection),
        admin_scope=connection.spec.service.auth.admin_scope,
    )
    return services, reaper


def token_verifier(settings: Settings, connection: BucketConnection) -> TokenVerifier:
    """Checks tokens as `spec.service.auth` says; the shared secret itself comes from the environment."""
    auth = connection.spec.service.auth
    secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret and not auth.jwks_url else None
    return TokenVerifier.configured(jwks_url=auth.jwks_url, secret=secret, issuer=auth.issuer, audience=auth.audience)


def _limiter(storage: Storage, connection: BucketConnection) -> RateLimiter | None:
    allowed = connection.spec.uploads.limits.requests_per_minute
    return None if allowed is None else RateLimiter(storage.database, connection.bucket, allowed)


def _messages(storage: Storage) -> MessageRepository:
    if storage.documents is not None:
        return MongoMessageRepository(storage.documents)
    return PostgresMessageRepository(storage.database)


def _checks(storage: Storage) -> dict[str, health.Check]:
    checks: dict[str, health.Check] = {"database": storage.database.check, "store": storage.objects.check}
    if storage.documents is not None:
        checks["documents"] = storage.documents.check
    return checks


@asynccontextmanager
async def _running(reaper: Reaper) -> AsyncIterator[None]:
    task = asyncio.create_task(reaper.run(), name="reaper")
    try:
        yield
    finally:
        # Python 3.11's asyncio.wait_for, inside the drivers, may swallow a cancellation: ask until it is heard.
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
