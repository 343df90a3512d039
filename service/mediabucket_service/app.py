"""The application: settings and a bucket in, routes out. Nothing connects before the server starts."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp
from typing_extensions import override

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.connection import BucketConnection
from mediabucket_api.spec import Uploads
from mediabucket_api.status import CapabilityVerdict
from mediabucket_s3.objects import BucketObjects
from mediabucket_s3.presign import Presigner
from mediabucket_service import health
from mediabucket_service.arrivals import Arrivals
from mediabucket_service.auth import TokenVerifier
from mediabucket_service.body_limit import BodyLimit
from mediabucket_service.cors import allow_origins
from mediabucket_service.database import Database
from mediabucket_service.dependencies import Services
from mediabucket_service.direct_route import DirectRoutes, direct_routes
from mediabucket_service.documents import Documents
from mediabucket_service.envelope import Envelope
from mediabucket_service.events import endpoints as event_endpoints
from mediabucket_service.flows import Flows
from mediabucket_service.media import endpoints as media_endpoints
from mediabucket_service.media import erasure_endpoints, part_endpoints
from mediabucket_service.media.backlog import BacklogWatch
from mediabucket_service.media.backlog_repository import BacklogRepository
from mediabucket_service.media.confirm import Confirmation
from mediabucket_service.media.confirm_failures import FailureReason
from mediabucket_service.media.erasure import Erasures
from mediabucket_service.media.erasure_repository import ErasureRepository
from mediabucket_service.media.initiate import Initiation
from mediabucket_service.media.initiate_repository import InitiateRepository
from mediabucket_service.media.models import MediaType
from mediabucket_service.media.multipart import MultipartUploads
from mediabucket_service.media.multipart_repository import MultipartRepository
from mediabucket_service.media.part_urls import PartUploads
from mediabucket_service.media.reaper import BytesRemover, Reaper
from mediabucket_service.media.removal_repository import RemovalRepository
from mediabucket_service.media.repository import MediaRepository
from mediabucket_service.media.service import MediaService
from mediabucket_service.media.urls import MediaUrls
from mediabucket_service.media.verifications import Verifications
from mediabucket_service.messages import endpoints as message_endpoints
from mediabucket_service.messages.repository import MessageRepository
from mediabucket_service.messages.repository_mongodb import MongoMessageRepository
from mediabucket_service.messages.repository_postgresql import PostgresMessageRepository
from mediabucket_service.metrics import Metrics, StoreMetrics
from mediabucket_service.pages import install_pages
from mediabucket_service.problems import install_problem_handlers
from mediabucket_service.rate_limit import RateLimiter, forget_full
from mediabucket_service.settings import Settings
from mediabucket_service.shutdown import Drain
from mediabucket_service.tracing import configured, opened, store_span, traced
from mediabucket_service.webhooks.dispatcher import Dispatcher
from mediabucket_service.webhooks.repository import WebhookRepository
from mediabucket_service.webhooks.sender import Sender
from mediabucket_service.webhooks.signing import Endpoint, signing_endpoints


@dataclass(frozen=True)
class Storage:
    """What is open while the application runs."""

    database: Database
    objects: BucketObjects
    documents: Documents | None


class Application(FastAPI):
    """FastAPI with the envelope around everything, even around the handler of bugs."""

    @override
    def build_middleware_stack(self) -> ASGIApp:
        stack = super().build_middleware_stack()
        if self.state.tracing is not None:
            stack = traced(stack, self.state.tracing)
        return Envelope(stack, self.state.drain, self.state.requests)


def create_app(settings: Settings, connection: BucketConnection) -> FastAPI:
    """The upload API of one bucket. Raises ValueError when tokens could not be checked with these settings, or
    webhooks not signed.
    """
    metrics = Metrics()
    metrics.uploads.expect(MediaType, FailureReason)
    verifier = token_verifier(settings, connection)
    endpoints = signing_endpoints(connection.spec.uploads.webhooks, os.environ)
    tracing = configured(os.environ)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(tracing), open_storage(settings, connection, metrics) as storage:
            services, reaper = build_services(settings, connection, storage, metrics, verifier)
            app.state.services = services
            app.state.checks = _checks(storage)
            async with (
                open_dispatcher(settings, connection, storage, metrics, endpoints) as dispatcher,
                _running(reaper.run(), _backlog(settings, connection, storage, metrics).run(), *dispatcher.loops()),
                services.verifications,
            ):
                yield

    app = Application(
        title="MediaBucket",
        version="1",
        summary="Direct-to-store media uploads: announce a file, PUT it to the store, refer to it by id.",
        lifespan=lifespan,
        # A redirect would be built from the Host header, which the caller chooses.
        redirect_slashes=False,
        # tracing.py does that; FastAPI would look for providers of its own at every call.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.drain, app.state.tracing, app.state.requests = Drain(), tracing, metrics.requests
    install_problem_handlers(app)
    routers = (
        media_endpoints.router,
        part_endpoints.router,
        erasure_endpoints.router,
        message_endpoints.router,
        event_endpoints.router,
        health.router,
    )
    # The last one added is the first to see a request.
    app.add_middleware(DirectRoutes, routes=direct_routes(routers), handlers=app.exception_handlers)
    app.add_middleware(BodyLimit)
    allow_origins(app, connection.spec.cors)
    metrics.install(app)
    for router in routers:
        app.include_router(router)
    install_pages(app, connection)
    return app


@asynccontextmanager
async def open_storage(
    settings: Settings, connection: BucketConnection, metrics: Metrics | None = None
) -> AsyncIterator[Storage]:
    """Open the database, the store and MongoDB if there is one; none of them needs to answer yet."""
    metrics = metrics or Metrics()
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database_url.get_secret_value(),
            pool_size=settings.database_pool_size,
            timeout_seconds=settings.database_timeout_seconds,
            max_waiting=settings.database_max_waiting,
            waited=metrics.pool.waited,
        )
        metrics.pool.follow(database.pool_counts)
        documents = None
        if settings.mongodb_url is not None:
            documents = Documents(
                settings.mongodb_url.get_secret_value(), timeout_seconds=settings.database_timeout_seconds
            )
            await stack.enter_async_context(documents)
        yield Storage(
            database=await stack.enter_async_context(database),
            objects=await stack.enter_async_context(
                BucketObjects.connect(
                    connection.store,
                    connection.bucket,
                    watch=partial(_watched, metrics.store),
                    largest_copy=settings.largest_copy_bytes,
                )
            ),
            documents=documents,
        )


def build_services(
    settings: Settings, connection: BucketConnection, storage: Storage, metrics: Metrics, verifier: TokenVerifier
) -> tuple[Services, Reaper]:
    """Put the parts together: what requests are answered with, and the clean-up beside it."""
    uploads = _publishable(connection, settings.largest_copy_bytes)
    stale_after_seconds = uploads.stale_after_seconds
    repository = MediaRepository(storage.database, connection.bucket, stale_after_seconds=stale_after_seconds)
    removal = RemovalRepository(storage.database, connection.bucket)
    remover = BytesRemover(removal, storage.objects, metrics.clean_up.removed)
    in_parts = MultipartRepository(storage.database, connection.bucket, stale_after_seconds=stale_after_seconds)
    multipart = MultipartUploads(uploads, in_parts, repository, storage.objects)
    verifications = Verifications(repository, lease_seconds=settings.confirm_lease_seconds)
    confirmation = Confirmation(
        repository,
        storage.objects,
        metrics.uploads,
        multipart,
        verifications,
        cdn_url=connection.spec.cdn.url_of,
        lease_seconds=settings.confirm_lease_seconds,
        answer_seconds=settings.confirm_answer_seconds,
        # Unless a probe says otherwise it is tried once.
        store_hashes_copies=connection.capabilities.get(CapabilityName.CHECKSUM_ON_COPY, "Enforced") == "Enforced",
        store_pins_copies=_enforced(connection, CapabilityName.COPY_SOURCE_IF_MATCH),
        store_pins_parts=_enforced(connection, CapabilityName.UPLOAD_PART_COPY),
    )
    presigner = Presigner(connection.store, connection.bucket)
    urls = MediaUrls(connection.spec, presigner)
    media = MediaService(connection.spec, repository, urls, confirmation, remover, metrics.uploads)
    parts = PartUploads(
        uploads,
        multipart,
        in_parts,
        repository,
        presigner,
        store_takes_parts=connection.capabilities.get(CapabilityName.MULTIPART, "Enforced") == "Enforced",
    )
    announced = InitiateRepository(
        storage.database, connection.bucket, stale_after_seconds=stale_after_seconds, limits=uploads.limits
    )
    initiation = Initiation(uploads, announced, presigner, urls, parts, metrics.uploads)
    flows = Flows(media, _messages(storage))
    reaper = Reaper(
        removal,
        remover,
        storage.objects,
        connection.spec.uploads,
        metrics.uploads,
        metrics.clean_up,
        interval_seconds=settings.reaper_interval_seconds,
        sweep_interval_seconds=settings.sweep_interval_seconds,
        also=(flows.sweep_references, partial(forget_full, storage.database, connection.bucket)),
    )
    services = Services(
        media=media,
        initiation=initiation,
        parts=parts,
        verifications=verifications,
        flows=flows,
        erasures=Erasures(
            ErasureRepository(storage.database, connection.bucket),
            storage.objects,
            answer_seconds=settings.erasure_answer_seconds,
        ),
        verifier=verifier,
        arrivals=Arrivals(media, connection.bucket),
        events_secret=settings.events_secret,
        limiter=_limiter(storage, connection),
        admin_scope=connection.spec.service.auth.admin_scope,
    )
    return services, reaper


@asynccontextmanager
async def open_dispatcher(
    settings: Settings,
    connection: BucketConnection,
    storage: Storage,
    metrics: Metrics,
    endpoints: Sequence[Endpoint],
) -> AsyncIterator[Dispatcher]:
    """What delivers to webhooks. They are registered before the first upload can end, if the database answers."""
    async with Sender() as sender:
        dispatcher = Dispatcher(
            WebhookRepository(storage.database, connection.bucket),
            sender,
            endpoints,
            metrics.webhooks,
            interval_seconds=settings.webhook_interval_seconds,
        )
        if endpoints:
            await dispatcher.register()
        yield dispatcher


def token_verifier(settings: Settings, connection: BucketConnection) -> TokenVerifier:
    """Checks tokens as `spec.service.auth` says; the shared secret itself comes from the environment."""
    auth = connection.spec.service.auth
    secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret and not auth.jwks_url else None
    return TokenVerifier.configured(jwks_url=auth.jwks_url, secret=secret, issuer=auth.issuer, audience=auth.audience)


def _publishable(connection: BucketConnection, largest_copy_bytes: int) -> Uploads:
    """The manifest's `uploads`, without files that this store could never publish."""
    uploads = connection.spec.uploads
    if connection.capabilities.get(CapabilityName.UPLOAD_PART_COPY) != CapabilityVerdict.UNSUPPORTED:
        return uploads
    return uploads.model_copy(update={"max_bytes": min(uploads.max_bytes, largest_copy_bytes)})


def _enforced(connection: BucketConnection, capability: CapabilityName) -> bool | None:
    """What a probe found; None when none has been made."""
    verdict = connection.capabilities.get(capability)
    return None if verdict is None else verdict == "Enforced"


@contextmanager
def _watched(metrics: StoreMetrics, operation: str) -> Iterator[None]:
    with store_span(operation), metrics.measured(operation):
        yield


def _backlog(settings: Settings, connection: BucketConnection, storage: Storage, metrics: Metrics) -> BacklogWatch:
    return BacklogWatch(
        BacklogRepository(storage.database, connection.bucket),
        metrics.backlog,
        interval_seconds=settings.reaper_interval_seconds,
        also=metrics.pool.refresh,
    )


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
async def _running(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    running = {asyncio.create_task(job) for job in jobs}
    try:
        yield
    finally:
        # Python 3.11's asyncio.wait_for, inside the drivers, may swallow a cancellation: ask until it is heard.
        while running:
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=0.1)
