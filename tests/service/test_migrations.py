"""The schema that migrations make is the one that the models describe."""

import os
import subprocess
import sys
from dataclasses import fields

from alembic import command

from mediabucket_service.media.models import MediaFile, MediaFiles
from mediabucket_service.migrations import configuration, upgrade


def test_migrations_end_at_the_models(migrated_database: str) -> None:
    command.check(configuration(migrated_database))


def test_a_row_is_read_with_all_columns_of_its_table() -> None:
    assert [field.name for field in fields(MediaFile)] == list(MediaFiles.model_fields)


def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    """As the init containers of several replicas do."""
    environment = os.environ | {"MEDIABUCKET_DATABASE_URL": database_url}
    program = [sys.executable, "-m", "mediabucket_service.migrations"]
    processes = [subprocess.Popen(program, env=environment) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    upgrade(database_url)
    command.check(configuration(database_url))
