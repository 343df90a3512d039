"""`mediabucket probe`: a table for people, JSON for programs, one clear sentence when it cannot be done."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from mediabucket_api.capabilities import CapabilityName
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_cli.main import app


def run(directory: Path, endpoint: str, seaweedfs: SeaweedFS, *options: str, **environment: str) -> Result:
    store = {
        "apiVersion": "mediabucket.dev/v1alpha1",
        "kind": "ObjectStore",
        "metadata": {"name": "main"},
        "spec": {"endpoint": endpoint, "credentialsSecretRef": {"namespace": "stores", "name": "keys"}},
    }
    manifest = directory / "store.yaml"
    manifest.write_text(yaml.safe_dump(store))
    keys: dict[str, Any] = {
        "AWS_ACCESS_KEY_ID": seaweedfs.connection.access_key_id,
        "AWS_SECRET_ACCESS_KEY": seaweedfs.connection.secret_access_key.get_secret_value(),
        "COLUMNS": "160",
    }
    return CliRunner().invoke(app, ["probe", "-f", str(manifest), *options], env=keys | environment)


def test_a_table_and_what_follows(tmp_path: Path, seaweedfs: SeaweedFS) -> None:
    result = run(tmp_path, seaweedfs.connection.endpoint, seaweedfs, NO_COLOR="1")
    assert result.exit_code == 0, result.output
    rows = [line.strip().split(maxsplit=2) for line in result.stdout.splitlines()]
    assert ["SignedChecksum", "Enforced", "PUT as signed: 200; other bytes: 400 BadDigest"] in rows
    assert (
        "PublicAccessBlock: only the bucket's policy keeps it from the public; it is checked instead" in result.stdout
    )
    assert "\x1b[" not in result.stdout


def test_json_has_every_capability(tmp_path: Path, seaweedfs: SeaweedFS) -> None:
    result = run(tmp_path, seaweedfs.connection.endpoint, seaweedfs, "--json")
    found = json.loads(result.stdout)["main"]
    assert {capability["name"] for capability in found} == {name.value for name in CapabilityName}
    assert seaweedfs.connection.secret_access_key.get_secret_value() not in result.output


@pytest.mark.parametrize(
    ("options", "told"),
    [((), "HeadBucket"), (("--store", "other"), "has no ObjectStore named other")],
)
def test_what_cannot_be_probed_is_told(
    tmp_path: Path, seaweedfs: SeaweedFS, options: tuple[str, ...], told: str
) -> None:
    result = run(tmp_path, "http://127.0.0.1:9", seaweedfs, *options)
    assert result.exit_code == 1
    assert told in str(result.exception)
