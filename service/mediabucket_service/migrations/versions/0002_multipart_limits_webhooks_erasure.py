"""Multipart uploads, what is read from a file's head, rate limits, the outbox of webhooks, and receipts of erasures.

Only adds: replicas of the version before go on working while this runs, and after it. May be interrupted anywhere and
repeated: the part before the indexes is committed before they are made.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from mediabucket_service.migrations.locking import beside_writers

revision = "0002"
down_revision = "0001"

# A trigger, so that no way of changing a status, in this version or the one before, can forget the event.
_EVENTS_OF_A_STATUS = """
CREATE OR REPLACE FUNCTION media_files_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_deliveries (delivery_id, bucket, webhook, event, media_id, payload)
    SELECT gen_random_uuid(), NEW.bucket, webhooks.name, 'media.' || NEW.status, NEW.media_id, jsonb_build_object(
        'media_id', NEW.media_id, 'status', NEW.status, 'uploaded_by', NEW.uploaded_by, 'file_name', NEW.file_name,
        'file_size', NEW.file_size, 'mime_type', NEW.mime_type, 'media_type', NEW.media_type,
        'checksum', encode(NEW.checksum, 'hex'), 'failure', NEW.failure, 'metadata', NEW.metadata)
    FROM webhooks WHERE webhooks.bucket = NEW.bucket AND 'media.' || NEW.status = ANY (webhooks.events);
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS media_files_tell ON media_files;
CREATE TRIGGER media_files_tell AFTER UPDATE OF status ON media_files
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION media_files_tell();
"""


def upgrade() -> None:
    for column in (
        sa.Column("upload_id", sa.Text()),
        sa.Column("part_size", sa.BigInteger()),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("duration_seconds", sa.Double()),
    ):
        op.add_column("media_files", column, if_not_exists=True)
    _create_tables()
    op.execute(_EVENTS_OF_A_STATUS)
    _cover_sizes(
        "media_files_one_completed", "media_files_completed_once", "status = 'completed' AND duplicate_of IS NULL"
    )
    _cover_sizes("media_files_one_pending", "media_files_pending_once", "status = 'pending'")


def _create_tables() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "user_id"),
        prefixes=["UNLOGGED"],
        if_not_exists=True,
    )
    op.create_table(
        "abandoned_copies",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "key"),
        if_not_exists=True,
    )
    op.create_table(
        "webhooks",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "name"),
        if_not_exists=True,
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("webhook", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id"),
        if_not_exists=True,
    )
    op.create_index("webhook_deliveries_due", "webhook_deliveries", ["bucket", "next_attempt_at"], if_not_exists=True)
    op.create_table(
        "erasures",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("user_digest", sa.LargeBinary(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("media", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("removed_references", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "user_digest"),
        if_not_exists=True,
    )


def _cover_sizes(old: str, new: str, rows: str) -> None:
    """Replace a unique index by one that a user's usage is counted from, without locking out writers."""
    with beside_writers():
        # A try that was interrupted leaves an index that is never used.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {new}")
        op.create_index(
            new,
            "media_files",
            ["bucket", "uploaded_by", "checksum"],
            unique=True,
            postgresql_where=sa.text(rows),
            postgresql_include=["file_size"],
            postgresql_concurrently=True,
        )
        op.drop_index(old, "media_files", postgresql_concurrently=True, if_exists=True)
