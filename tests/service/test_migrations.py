"""The schema that migrations make is the one that the models describe."""

from concurrent.futures import ThreadPoolExecutor

from alembic import command

from mediabucket_service.migrations import configuration, upgrade


def test_migrations_end_at_the_models(migrated_database: str) -> None:
    command.check(configuration(migrated_database))


def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for finished in [pool.submit(upgrade, database_url) for _ in range(4)]:
            finished.result()
    upgrade(database_url)
    command.check(configuration(database_url))
