"""Run by Alembic: connects, takes the lock, migrates."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection, Engine, create_engine, pool, text
from sqlmodel import SQLModel

from mediabucket_service.media import models as media_models
from mediabucket_service.messages import models as message_models
from mediabucket_service.migrations.locking import SET_LOCK_TIMEOUT, until_unlocked
from mediabucket_service.webhooks import models as webhook_models

# Any constant that no other user of the database takes.
MIGRATION_LOCK = 0x6D69677261
_POLL_SECONDS = 0.2

# All modules register their tables in the metadata; naming them here keeps the imports honest.
TABLES = (
    media_models.MediaFiles,
    media_models.MediaReference,
    media_models.RateLimit,
    media_models.Erasure,
    message_models.Message,
    webhook_models.RegisteredWebhook,
    webhook_models.WebhookDelivery,
)


def migrate() -> None:
    """Upgrade, one process at a time; a migration is done whole or, where it must not lock, is repeatable."""
    url = context.config.get_main_option("sqlalchemy.url")
    engine = create_engine(url or "", poolclass=pool.NullPool)
    with _locked(engine):
        until_unlocked(lambda: _run(engine))
    engine.dispose()


def _run(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text(SET_LOCK_TIMEOUT))
        connection.commit()
        _run_on(connection)


def _run_on(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


@contextmanager
def _locked(engine: Engine) -> Iterator[None]:
    """Asked for again and again instead of waited for: CREATE INDEX CONCURRENTLY waits for every statement that waits
    for this lock, and would never end.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.scalar(text(f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})")):
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            connection.execute(text(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})"))


migrate()
