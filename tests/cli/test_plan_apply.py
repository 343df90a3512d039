"""`mediabucket plan` and `apply`: exit codes, what is shown, and where the store comes from."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from mediabucket_api.manifest import load_manifest_text
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_cli.errors import CommandFailed
from mediabucket_cli.main import app
from mediabucket_cli.store import store_connection
from mediabucket_s3.admin import BucketAdmin

ORIGINS: dict[str, Any] = {"cors": {"allowedOrigins": ["https://chat.example.com"]}}


class Commands:
    """A manifest, and the commands on it as a shell would run them."""

    def __init__(self, directory: Path, seaweedfs: SeaweedFS, bucket: str) -> None:
        self.manifest = directory / "media.yaml"
        self._bucket = bucket
        store = seaweedfs.connection
        self.environment: dict[str, str | None] = {
            "AWS_ENDPOINT_URL_S3": store.endpoint,
            "AWS_ACCESS_KEY_ID": store.access_key_id,
            "AWS_SECRET_ACCESS_KEY": store.secret_access_key.get_secret_value(),
            "COLUMNS": "200",
        }
        self.write(**ORIGINS)

    def write(self, *others: dict[str, Any], name: Any = "media", **spec: Any) -> None:
        wanted = {"storeRef": {"name": "main"}, "bucketName": self._bucket} | spec
        resource = {"apiVersion": "mediabucket.dev/v1alpha1", "kind": "MediaBucket", "metadata": {"name": name}}
        self.manifest.write_text(yaml.safe_dump_all([*others, resource | {"spec": wanted}]))

    def run(self, command: str, *options: str) -> Result:
        return CliRunner().invoke(app, [command, "-f", str(self.manifest), *options], env=self.environment)


@pytest.fixture
def commands(tmp_path: Path, seaweedfs: SeaweedFS, bucket_name: str) -> Commands:
    return Commands(tmp_path, seaweedfs, bucket_name)


def test_plan_shows_apply_makes_plan_is_content(commands: Commands) -> None:
    planned = commands.run("plan")
    assert planned.exit_code == 2
    assert "+ mediabucket-uploads.allowedOrigins  https://chat.example.com" in planned.output
    applied = commands.run("apply")
    assert applied.exit_code == 0
    assert "Ready                True    Available" in applied.output
    again = commands.run("plan")
    assert again.exit_code == 0
    assert again.output.splitlines()[-1] == "0 differences in 0 of 1 MediaBuckets"
    assert "nothing to change" in commands.run("apply").output


def test_a_changed_field_is_shown_as_before_and_after(commands: Commands) -> None:
    commands.run("apply")
    commands.write(cors={"allowedOrigins": ["https://new.example.com"]})
    planned = commands.run("plan")
    assert planned.exit_code == 2
    expected = "~ mediabucket-uploads.allowedOrigins  https://chat.example.com → https://new.example.com"
    assert expected in planned.output
    assert planned.output.splitlines()[-1] == "1 difference in 1 of 1 MediaBuckets"


def test_json_has_changes_and_conditions(commands: Commands) -> None:
    [planned] = json.loads(commands.run("plan", "--json").stdout)
    assert {change["action"] for change in planned["changes"]} == {"create"}
    [applied] = json.loads(commands.run("apply", "--json").stdout)
    assert applied["conditions"][0]["type"] == "Ready"
    assert any(change["applied"] for change in applied["changes"])
    [again] = json.loads(commands.run("plan", "--json").stdout)
    assert again["changes"] == []


def test_colours_respect_no_color(commands: Commands) -> None:
    commands.environment |= {"FORCE_COLOR": "1", "NO_COLOR": None, "TERM": "xterm"}
    assert "\x1b[32m" in commands.run("plan").output
    commands.environment |= {"NO_COLOR": "1"}
    assert "\x1b[3" not in commands.run("plan").output


def test_a_refusal_is_told_and_is_an_error(commands: Commands) -> None:
    commands.write(name="theirs")
    commands.run("apply")
    commands.write(name="ours")
    for command in ("plan", "apply"):
        refused = commands.run(command)
        assert refused.exit_code == 1
        assert "belongs to default/theirs: choose another bucketName" in refused.output


def test_a_store_that_does_not_answer_is_told(commands: Commands) -> None:
    commands.environment["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:1"
    for command in ("plan", "apply"):
        failed = commands.run(command)
        assert failed.exit_code == 1
        assert "Could not connect" in failed.output


def test_the_documents_of_the_file_name_the_store(commands: Commands, seaweedfs: SeaweedFS) -> None:
    store = seaweedfs.connection
    keys = {
        "AWS_ACCESS_KEY_ID": store.access_key_id,
        "AWS_SECRET_ACCESS_KEY": store.secret_access_key.get_secret_value(),
    }
    metadata = {"name": "keys", "namespace": "stores"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys}
    object_store: dict[str, Any] = {
        "apiVersion": "mediabucket.dev/v1alpha1",
        "kind": "ObjectStore",
        "metadata": {"name": "main"},
        "spec": {"endpoint": store.endpoint, "credentialsSecretRef": metadata},
    }
    commands.write(secret, object_store, **ORIGINS)
    commands.environment = dict.fromkeys(commands.environment)
    assert commands.run("apply").exit_code == 0
    object_store["spec"]["limits"] = {"maxUploadBytes": 1000}
    commands.write(secret, object_store, **ORIGINS)
    assert "forbids it: uploads.maxBytes is 104857600, at most 1000 is allowed" in str(commands.run("plan").exception)
    object_store["spec"]["allowedNamespaces"] = {"matchNames": ["elsewhere"]}
    commands.write(secret, object_store, **ORIGINS)
    assert "is not for namespace default" in str(commands.run("apply").exception)
    bucket = load_manifest_text(commands.manifest.read_text(), "media.yaml").media_buckets[0].bucket_name
    assert BucketAdmin.connect(store, bucket).exists()


MANIFEST = """
apiVersion: mediabucket.dev/v1alpha1
kind: MediaBucket
metadata: {name: media}
spec: {storeRef: {name: main}}
"""


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "where is the store 'main'? Add an ObjectStore main to the file"),
        ({"AWS_ENDPOINT_URL_S3": "http://s3"}, "must have AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ENDPOINT_URL": "http://s3", "AWS_ACCESS_KEY_ID": "id"}, "must have AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ENDPOINT_URL": "s3.example.com"}, "must begin with http:// or https://"),
        (
            {"AWS_ENDPOINT_URL": "http://s3", "MEDIABUCKET_S3_ADDRESSING_STYLE": "Pfad"},
            "must be Path or Virtual, not Pfad",
        ),
    ],
)
def test_what_the_environment_lacks_is_told(environment: dict[str, str], told: str) -> None:
    manifest = load_manifest_text(MANIFEST, "media.yaml")
    with pytest.raises(CommandFailed) as failure:
        store_connection(manifest.media_buckets[0], manifest, environment)
    assert told in str(failure.value)


def test_the_environment_can_name_all_of_a_store() -> None:
    manifest = load_manifest_text(MANIFEST, "media.yaml")
    environment = {
        "MEDIABUCKET_S3_ENDPOINT": "http://internal:9000",
        "AWS_ENDPOINT_URL_S3": "http://ignored",
        "MEDIABUCKET_S3_PUBLIC_ENDPOINT": "https://media.example.com",
        "MEDIABUCKET_S3_ADDRESSING_STYLE": "Virtual",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    }
    found = store_connection(manifest.media_buckets[0], manifest, environment)
    assert (found.endpoint, found.public_endpoint) == ("http://internal:9000", "https://media.example.com")
    assert (found.region, found.addressing_style.value) == ("eu-central-1", "Virtual")
    assert found.session_token is not None
    assert found.session_token.get_secret_value() == "token"
