"""Run by Alembic: connects, takes the lock, migrates."""

from alembic import context
from sqlalchemy import create_engine, pool, text
from sqlmodel import SQLModel

from mediabucket_service.media import models as media_models
from mediabucket_service.messages import models as message_models

# Any constant that no other user of the database takes.
MIGRATION_LOCK = 0x6D69677261

# Both modules register their tables in the metadata; naming them here keeps the imports honest.
TABLES = (media_models.MediaFile, media_models.MediaReference, message_models.Message)


def migrate() -> None:
    """Upgrade under a transaction-level lock, so that a crash in the middle leaves nothing behind."""
    url = context.config.get_main_option("sqlalchemy.url")
    engine = create_engine(url or "", poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=SQLModel.metadata)
        with context.begin_transaction():
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            context.run_migrations()
    engine.dispose()


migrate()
