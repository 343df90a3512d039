"""Media, the messages that refer to them, and the references."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "media_files",
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_path", sa.Text(), nullable=False),
        sa.Column("cdn_url", sa.Text(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("mime_type", sa.Text(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.Uuid(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("duplicate_of", sa.Uuid(), nullable=True),
        sa.Column("bytes_removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.PrimaryKeyConstraint("media_id"),
        sa.CheckConstraint(
            "status IN ('pending', 'completed', 'failed', 'expired', 'deleted')", name="media_files_status"
        ),
        sa.CheckConstraint("octet_length(checksum) = 32", name="media_files_checksum"),
    )
    op.create_index(
        "media_files_of_user",
        "media_files",
        ["bucket", "uploaded_by", sa.literal_column("media_id DESC")],
        unique=False,
    )
    op.create_index(
        "media_files_one_completed",
        "media_files",
        ["bucket", "uploaded_by", "checksum"],
        unique=True,
        postgresql_where=sa.text("status = 'completed' AND duplicate_of IS NULL"),
    )
    op.create_index(
        "media_files_one_pending",
        "media_files",
        ["bucket", "uploaded_by", "checksum"],
        unique=True,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "media_files_published",
        "media_files",
        ["bucket", "file_path"],
        unique=False,
        postgresql_where=sa.text("status = 'completed'"),
    )
    op.create_index(
        "media_files_to_expire",
        "media_files",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "media_files_to_remove",
        "media_files",
        ["media_id"],
        unique=False,
        postgresql_where=sa.text("status IN ('failed', 'expired', 'deleted') AND bytes_removed_at IS NULL"),
    )
    op.create_table(
        "messages",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("message_type", sa.Text(), nullable=False),
        sa.Column("media_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("client_message_id", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index(
        "messages_of_conversation",
        "messages",
        ["conversation_id", sa.literal_column("sent_at DESC"), sa.literal_column("message_id DESC")],
        unique=False,
    )
    op.create_index(
        "messages_sent_once",
        "messages",
        ["sender", "client_message_id"],
        unique=True,
        postgresql_where=sa.text("client_message_id IS NOT NULL"),
    )
    op.create_table(
        "media_references",
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("settled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["media_id"],
            ["media_files.media_id"],
        ),
        sa.PrimaryKeyConstraint("media_id", "message_id"),
    )
    op.create_index("media_references_of_message", "media_references", ["message_id"], unique=False)
    op.create_index(
        "media_references_unsettled",
        "media_references",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("NOT settled"),
    )
