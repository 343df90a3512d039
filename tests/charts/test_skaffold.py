"""skaffold.yaml and the manifests of its profile: what they name exists, and fits together."""

import json
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from mediabucket_api.manifest import load_manifest
from mediabucket_cli.embedded.processes import Child, bare_environment
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_operator.children import child_name
from mediabucket_s3.admin import BucketAdmin

ROOT = Path(__file__).resolve().parents[2]
DEVELOPMENT = ROOT / "examples" / "dev"
CHART = ROOT / "charts" / "mediabucket"
CONFIGURATION: dict[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
# https://skaffold.dev/docs/references/yaml/: of each part, the keys that are used here.
KNOWN = {
    "": {"apiVersion", "kind", "metadata", "build", "deploy", "manifests", "portForward"},
    "build": {"tagPolicy", "local", "artifacts"},
    "build.artifacts": {"image", "context", "docker"},
    "build.artifacts.docker": {"dockerfile"},
    "deploy": {"helm", "kubectl"},
    "deploy.helm": {"releases", "hooks"},
    "deploy.helm.releases": {"name", "chartPath", "namespace", "createNamespace", "setValueTemplates"},
    "deploy.helm.hooks": {"after"},
    "deploy.helm.hooks.after": {"host"},
    "deploy.helm.hooks.after.host": {"command"},
    "manifests": {"rawYaml"},
    "portForward": {"resourceType", "resourceName", "namespace", "port", "localPort"},
}


def with_profile(name: str) -> dict[str, Any]:
    """The configuration with this profile's patches, which only add: https://datatracker.ietf.org/doc/html/rfc6902"""
    configuration = json.loads(json.dumps({key: part for key, part in CONFIGURATION.items() if key != "profiles"}))
    [profile] = [profile for profile in CONFIGURATION["profiles"] if profile["name"] == name]
    assert profile.keys() == {"name", "patches"}
    for patch in profile["patches"]:
        assert patch["op"] == "add"
        *parents, key = patch["path"].strip("/").split("/")
        target = configuration
        for parent in parents:
            target = target[parent]
        assert key not in target
        target[key] = patch["value"]
    return dict(configuration)


def require_known(part: Any, path: str = "") -> None:
    if isinstance(part, list):
        for item in part:
            require_known(item, path)
    elif isinstance(part, dict) and path in KNOWN:
        assert part.keys() <= KNOWN[path], path
        for key, item in part.items():
            require_known(item, f"{path}.{key}".lstrip("."))


def documents(*files: Path) -> list[dict[str, Any]]:
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def raw_files() -> list[Path]:
    return [ROOT / name for name in with_profile("dev")["manifests"]["rawYaml"]]


def one(kind: str, name: str, *files: Path) -> dict[str, Any]:
    [found] = [d for d in documents(*files) if (d["kind"], d["metadata"]["name"]) == (kind, name)]
    return found


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = one("Deployment", name, *raw_files())["spec"]["template"]["spec"]
    return found


def test_it_has_no_keys_that_skaffold_does_not_know() -> None:
    assert CONFIGURATION["apiVersion"].startswith("skaffold/v4")
    require_known(with_profile("dev"))
    require_known({key: part for key, part in CONFIGURATION.items() if key != "profiles"})


def test_both_images_are_built_from_the_root() -> None:
    artifacts = {item["image"]: item for item in CONFIGURATION["build"]["artifacts"]}
    assert artifacts.keys() == {"mediabucket-operator", "mediabucket-service"}
    for item in artifacts.values():
        assert item["context"] == "."
        assert (ROOT / item["docker"]["dockerfile"]).exists()


def test_the_chart_gets_the_images_that_were_built() -> None:
    [release] = CONFIGURATION["deploy"]["helm"]["releases"]
    assert (ROOT / release["chartPath"] / "Chart.yaml").exists()
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    expected = {}
    for value in ("image", "serviceImage"):
        # Skaffold names variables after artifacts, and the chart's defaults are named like the artifacts.
        variable = values[value]["repository"].replace("-", "_")
        expected[f"{value}.repository"] = f"{{{{.IMAGE_REPO_{variable}}}}}"
        expected[f"{value}.tag"] = f"{{{{.IMAGE_TAG_{variable}}}}}"
    assert release["setValueTemplates"] == expected


def test_all_files_of_the_profile_are_there_and_used() -> None:
    configuration = with_profile("dev")
    [hook] = configuration["deploy"]["helm"]["hooks"]["after"]
    applied = re.findall(r"--filename (\S+)", hook["host"]["command"][-1])
    files = [*raw_files(), *(ROOT / name for name in applied)]
    assert sorted(files) == sorted(DEVELOPMENT.iterdir())
    subprocess.run(["sh", "-n", "-c", hook["host"]["command"][-1]], check=True)


def test_the_profile_waits_for_the_kinds_before_it_uses_them() -> None:
    [hook] = with_profile("dev")["deploy"]["helm"]["hooks"]["after"]
    words = hook["host"]["command"][-1].split()
    kinds = [f"crd/{yaml.safe_load(file.read_text())['metadata']['name']}" for file in (ROOT / "crds").glob("*.yaml")]
    assert all(words.index(kind) < words.index("apply") for kind in kinds)


def test_ports_are_forwarded_to_services_that_exist() -> None:
    manifest = load_manifest(DEVELOPMENT / "chat.yaml")
    [store], [bucket] = manifest.object_stores, manifest.media_buckets
    forwards = {item["resourceName"]: item for item in with_profile("dev")["portForward"]}
    assert forwards.keys() == {"seaweedfs", child_name(bucket)}
    [port] = one("Service", "seaweedfs", *raw_files())["spec"]["ports"]
    assert forwards["seaweedfs"]["port"] == port["port"]
    assert store.spec.public_endpoint == f"http://localhost:{forwards['seaweedfs']['localPort']}"
    assert store.spec.endpoint == f"http://seaweedfs.{forwards['seaweedfs']['namespace']}.svc:{port['port']}"
    assert {item["namespace"] for item in forwards.values()} == {bucket.metadata.namespace}


def test_the_release_namespace_is_the_one_with_the_credentials() -> None:
    [release] = CONFIGURATION["deploy"]["helm"]["releases"]
    [store] = load_manifest(DEVELOPMENT / "chat.yaml").object_stores
    assert store.spec.credentials_secret_ref is not None
    assert store.spec.credentials_secret_ref.namespace == release["namespace"]


@pytest.mark.parametrize("name", ["seaweedfs", "postgresql"])
def test_pods_are_restricted_and_reachable(name: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    found = pod(name)
    [container] = found["containers"]
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert re.fullmatch(r"[a-z/]+:[0-9.]+", container["image"])
    service = one("Service", name, *raw_files())["spec"]
    labels = one("Deployment", name, *raw_files())["spec"]["template"]["metadata"]["labels"]
    assert service["selector"] == labels
    assert [port["targetPort"] for port in service["ports"]] == [port["name"] for port in container["ports"]]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in found["volumes"]}


def test_the_database_url_opens_the_database() -> None:
    secret = one("Secret", "postgresql", *raw_files())
    [container] = pod("postgresql")["containers"]
    variables = {item["name"]: item.get("value") for item in container["env"]}
    namespace, [port] = secret["metadata"]["namespace"], container["ports"]
    user, database = variables["POSTGRES_USER"], variables["POSTGRES_DB"]
    host = f"postgresql.{namespace}.svc:{port['containerPort']}"
    assert secret["stringData"]["url"] == f"postgresql://{user}:{secret['stringData']['password']}@{host}/{database}"


def test_the_media_bucket_names_secrets_that_exist() -> None:
    files = (*raw_files(), DEVELOPMENT / "chat.yaml")
    [bucket] = load_manifest(DEVELOPMENT / "chat.yaml").media_buckets
    service = bucket.spec.service
    assert service.database.secret_ref is not None
    assert service.auth.secret_ref is not None
    for reference, key in ((service.database.secret_ref, "url"), (service.auth.secret_ref, "secret")):
        secret = one("Secret", reference.name, *files)
        assert secret["metadata"]["namespace"] == bucket.metadata.namespace
        # Shorter secrets for tokens are refused.
        assert len(secret["stringData"][key]) >= 32


class DescribedSeaweedFS(SeaweedFS):
    """SeaweedFS with the arguments and the identities of the manifest, on this machine."""

    def _prepare(self) -> None:
        identities = one("Secret", "seaweedfs", *raw_files())["stringData"]["identities.json"]
        (self.directory / "identities.json").write_text(identities)
        (self.directory / "data").mkdir()

    def _start_child(self, lock_descriptor: int) -> Child:
        places = {
            "=/data": f"={self.directory}/data",
            "=/etc/seaweedfs": f"={self.directory}",
            "=0.0.0.0": "=127.0.0.1",
        }
        [container] = pod("seaweedfs")["containers"]
        program, *arguments = [word for word in container["command"] if not word.startswith("-s3.port=")]
        for place, here in places.items():
            arguments = [word.replace(place, here) for word in arguments]
        return Child.start(
            "SeaweedFS",
            [Path(sysconfig.get_path("scripts")) / program, *arguments, *(f"-{n}={p}" for n, p in self.ports.items())],
            log=self.log,
            environment=bare_environment(self.directory),
            directory=self.directory,
            keep_open=[lock_descriptor],
        )


def test_the_store_starts_as_its_manifest_says(tmp_path: Path, bucket_name: str) -> None:
    credentials = load_manifest(DEVELOPMENT / "chat.yaml").secrets[("mediabucket-system", "seaweedfs-credentials")]
    with DescribedSeaweedFS.start(tmp_path / "seaweedfs", durable=False) as server:
        connection = server.connection
        assert connection.access_key_id == credentials["AWS_ACCESS_KEY_ID"]
        assert connection.secret_access_key.get_secret_value() == credentials["AWS_SECRET_ACCESS_KEY"]
        admin = BucketAdmin.connect(connection, bucket_name)
        admin.create(connection.region, {})
        assert admin.exists()
