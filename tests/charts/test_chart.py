"""The chart as Helm renders it, compared with golden files and with what Kubernetes and the operator expect."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mediabucket_api.manifest import load_manifest_text
from mediabucket_api.workload import ServiceState
from mediabucket_operator.settings import OperatorSettings

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "mediabucket"
GOLDEN = Path(__file__).parent / "golden"
EVERYTHING = Path(__file__).parent / "everything.values.yaml"
# Everything that can be made, made.
SWITCHED_ON = (
    "--set=serviceAccount.create=true,rbac.create=true,rbac.aggregate=true",
    "--set=metrics.service.enabled=true,crds.enabled=true,crds.keep=true",
)
SWITCHED_OFF = (
    "--set=metrics.podMonitor.enabled=false,metrics.serviceMonitor.enabled=false",
    "--set=dashboards.enabled=false,alerts.enabled=false",
)
# What has a source of its own to be compared with, and changes for reasons of its own.
COPIED = r"/templates/(crd-|configmap-dashboard-|prometheusrule)"
# Helm's own guess depends on how it was built.
KUBERNETES = "1.31.0"
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}


class HelmFailed(Exception):
    """Helm refused; the text is what it said."""


@dataclass(frozen=True)
class Helm:
    program: Path
    home: Path

    def run(self, *arguments: str) -> str:
        """What Helm prints. Raises HelmFailed."""
        homes = {f"HELM_{name}_HOME": str(self.home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), **homes}
        command = [str(self.program), *arguments]
        result = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
        if result.returncode != 0:
            raise HelmFailed(result.stdout + result.stderr)
        return result.stdout

    def template(
        self, *arguments: str, chart: Path = CHART, name: str = "mediabucket", kubernetes: str = KUBERNETES
    ) -> str:
        where = ("--namespace=mediabucket-system", f"--kube-version={kubernetes}")
        return self.run("template", name, str(chart), *where, *arguments)

    def objects(self, *arguments: str, **options: Any) -> "Objects":
        return Objects(filter(None, yaml.safe_load_all(self.template(*arguments, **options))))


class Objects(list[dict[str, Any]]):
    """Rendered objects."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [item for item in self if item["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> dict[str, Any]:
        [found] = [item for item in self.of(kind) if name in (None, item["metadata"]["name"])]
        return found

    @property
    def template(self) -> dict[str, Any]:
        found: dict[str, Any] = self.one("Deployment")["spec"]["template"]
        return found

    @property
    def container(self) -> dict[str, Any]:
        [found] = self.template["spec"]["containers"]
        assert isinstance(found, dict)
        return found

    @property
    def environment(self) -> dict[str, str]:
        return {item["name"]: item.get("value", "") for item in self.container["env"]}


@pytest.fixture(scope="session")
def helm(helm_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(helm_program, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def default(helm: Helm) -> Objects:
    return helm.objects()


@pytest.fixture(scope="session")
def everything(helm: Helm) -> Objects:
    return helm.objects(f"--values={EVERYTHING}", *SWITCHED_ON)


def require_golden(name: str, text: str) -> None:
    """UPDATE_GOLDEN=1 in the environment writes the file instead of comparing it."""
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(text)
    assert text == (GOLDEN / name).read_text(), "if this is meant, run again with UPDATE_GOLDEN=1"


def without_copies(text: str) -> str:
    """Only objects whose templates are written by hand."""
    documents = re.split(r"^---\n", text, flags=re.MULTILINE)
    return "---\n".join(document for document in documents if not re.search(COPIED, document.partition("\n")[0]))


def notes(helm: Helm, directory: Path, *arguments: str) -> str:
    """What is printed after an installation. Helm shows it to those only who have a cluster, so it is rendered as the
    content of an object.
    """
    chart = directory / "mediabucket"
    shutil.copytree(CHART, chart)
    (chart / "templates" / "NOTES.txt").rename(chart / "notes.txt")
    template = 'kind: Notes\nmetadata: {name: notes}\ntext: {{ tpl (.Files.Get "notes.txt") . | toJson }}\n'
    (chart / "templates" / "notes.yaml").write_text(template)
    text: str = helm.objects("--show-only=templates/notes.yaml", *arguments, chart=chart).one("Notes")["text"]
    return text


def rules(*roles: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each granted verb as (API group, resource, verb)."""
    for role in roles:
        for rule in role["rules"]:
            yield from ((g, r, v) for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"])


@pytest.mark.parametrize("arguments", [(), (f"--values={EVERYTHING}",), (f"--values={EVERYTHING}", *SWITCHED_ON)])
def test_lint_finds_nothing(helm: Helm, arguments: tuple[str, ...]) -> None:
    said = helm.run("lint", "--strict", f"--kube-version={KUBERNETES}", str(CHART), *arguments)
    assert "[WARNING]" not in said
    assert "1 chart(s) linted, 0 chart(s) failed" in said


def test_default_values_render_as_before(helm: Helm) -> None:
    require_golden("default.yaml", without_copies(helm.template()))


def test_all_values_render_as_before(helm: Helm) -> None:
    require_golden("everything.yaml", without_copies(helm.template(f"--values={EVERYTHING}", *SWITCHED_ON)))


def test_every_template_makes_one_object_of_its_own(helm: Helm) -> None:
    text = helm.template(f"--values={EVERYTHING}", *SWITCHED_ON, "--set=rbac.namespaces={chat}")
    sources = re.findall(r"^# Source: mediabucket/templates/(\S+)$", text, flags=re.MULTILINE)
    folder = CHART / "templates"
    templates = {str(file.relative_to(folder)) for file in folder.rglob("*.yaml")}
    # Bound in the whole cluster, or in each namespace.
    assert sorted(sources) == sorted(templates - {"clusterrolebinding-workloads.yaml"})


def test_everything_can_be_switched_off(helm: Helm) -> None:
    assert [item["kind"] for item in helm.objects(f"--values={EVERYTHING}", *SWITCHED_OFF)] == ["Deployment"]


def test_values_can_be_taken_away(helm: Helm) -> None:
    """Helm removes a key whose value is null."""
    lists, maps = (
        ("extraEnv", "rbac.namespaces", "imagePullSecrets", "tolerations"),
        ("labels", "podLabels", "affinity"),
    )
    objects = helm.objects(*(f"--set={name}=null" for name in (*lists, *maps, "resources", "operator.clusterId")))
    assert "resources" not in objects.container


def test_names_namespaces_and_labels(default: Objects, everything: Objects) -> None:
    for item in (*default, *everything):
        metadata = item["metadata"]
        assert ("namespace" in metadata) is (item["kind"] not in CLUSTER_WIDE)
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    chosen = {"somebody", "mediabuckets.mediabucket.dev", "objectstores.mediabucket.dev"}
    names = {item["metadata"]["name"] for item in everything} - chosen
    assert {name.partition("-")[0] for name in names} == {"media"}


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("mediabucket", "mediabucket-operator"),
        ("my-mediabucket", "my-mediabucket-operator"),
        ("uploads", "uploads-mediabucket-operator"),
        ("a" * 53, f"{'a' * 53}-operator"),
    ],
)
def test_names_fit_into_a_label(helm: Helm, release: str, expected: str) -> None:
    name = helm.objects("--show-only=templates/deployment.yaml", name=release).one("Deployment")["metadata"]["name"]
    assert name == expected
    assert len(name) <= 63


def test_labels_of_users_never_replace_those_that_select(helm: Helm) -> None:
    same = "app\\.kubernetes\\.io/name=theirs"
    chosen = f"labels.{same},podLabels.{same},labels.a=1,podLabels.a=2,podLabels.b=3"
    objects = helm.objects(f"--set-string={chosen}")
    labels, selector = objects.template["metadata"]["labels"], objects.one("Deployment")["spec"]["selector"]
    assert selector["matchLabels"].items() <= labels.items()
    assert selector["matchLabels"] == objects.one("Service")["spec"]["selector"]
    assert (labels["a"], labels["b"]) == ("2", "3")


@pytest.mark.parametrize(("version", "accepted"), [("1.28.9", False), ("1.29.0", True), ("1.29.4-gke.100", True)])
def test_clusters_that_are_too_old_are_refused(helm: Helm, version: str, accepted: bool) -> None:
    if accepted:
        assert helm.template(kubernetes=version)
    else:
        with pytest.raises(HelmFailed, match=r"chart requires kubeVersion: >=1\.29"):
            helm.template(kubernetes=version)


def test_there_is_never_a_second_operator(default: Objects) -> None:
    deployment = default.one("Deployment")["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}
    assert (ROOT / "docs" / "adr" / "0001-one-operator-replica.md").exists()


def test_the_pod_is_restricted(default: Objects, everything: Objects) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    for objects in (default, everything):
        pod = objects.template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert objects.container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {name for volume in pod["volumes"] for name in volume} == {"name", "emptyDir"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_a_silent_operator_is_restarted_in_time(default: Objects) -> None:
    probe = default.container["livenessProbe"]
    assert probe["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"] <= 45
    assert "startupProbe" in default.container


def test_images_follow_the_version_of_the_project(default: Objects) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version
    assert default.container["image"] == f"mediabucket-operator:{version}"
    assert default.environment["MEDIABUCKET_OPERATOR_SERVICE_IMAGE"] == f"mediabucket-service:{version}"


def test_the_operator_understands_its_environment(
    default: Objects, everything: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = "MEDIABUCKET_OPERATOR_"
    monkeypatch.setattr(os, "environ", {})
    for objects in (default, everything):
        found = {name: value or "from-the-pod" for name, value in objects.environment.items()}
        known = {f"{prefix}{field.upper()}" for field in OperatorSettings.model_fields}
        assert {name for name in found if name.startswith(prefix)} <= known
        os.environ.update(found)
        [port] = objects.container["ports"]
        assert OperatorSettings().port == port["containerPort"]
    assert OperatorSettings().gateway == "gateways/public"
    assert OperatorSettings().service_image_pull_secrets == ("registry",)


def test_no_secret_is_listed_or_watched(default: Objects, everything: Objects) -> None:
    for objects in (default, everything):
        granted = set(rules(*objects.of("ClusterRole"), *objects.of("Role")))
        assert {verb for _, resource, verb in granted if resource == "secrets"} <= {"get", "create", "patch", "delete"}
        assert not [rule for rule in granted if "*" in rule]


def test_secrets_can_be_left_to_chosen_namespaces(helm: Helm) -> None:
    objects = helm.objects("--set=rbac.namespaces={chat,forum,chat}")
    account = [{"kind": "ServiceAccount", "name": "mediabucket-operator", "namespace": "mediabucket-system"}]
    assert [item["roleRef"]["name"] for item in objects.of("ClusterRoleBinding")] == ["mediabucket-operator"]
    assert not {"secrets", "configmaps"} & {r for _, r, _ in rules(objects.one("ClusterRole", "mediabucket-operator"))}
    bindings = {item["metadata"]["namespace"]: item["roleRef"]["name"] for item in objects.of("RoleBinding")}
    credentials, workloads = "mediabucket-operator-credentials", "mediabucket-operator-workloads"
    assert bindings == {"mediabucket-system": credentials, "chat": workloads, "forum": workloads}
    assert all(item["subjects"] == account for item in objects.of("RoleBinding"))
    assert list(rules(objects.one("Role"))) == [("", "secrets", "get")]


def test_people_get_their_rights_through_the_roles_they_have(default: Objects) -> None:
    view, edit = default.one("ClusterRole", "mediabucket-view"), default.one("ClusterRole", "mediabucket-edit")
    aggregated = "rbac.authorization.k8s.io/aggregate-to-"
    assert {label for label in view["metadata"]["labels"] if label.startswith(aggregated)} == {
        f"{aggregated}{role}" for role in ("view", "edit", "admin")
    }
    assert f"{aggregated}view" not in edit["metadata"]["labels"]
    assert {verb for _, _, verb in rules(view)} == {"get", "list", "watch"}
    assert {resource for _, resource, _ in rules(edit)} == {"mediabuckets"}


@pytest.mark.parametrize(("keep", "annotations"), [("true", {"helm.sh/resource-policy": "keep"}), ("false", None)])
def test_the_crds_are_those_of_the_project(helm: Helm, keep: str, annotations: dict[str, str] | None) -> None:
    found = helm.objects(f"--set=crds.keep={keep}").of("CustomResourceDefinition")
    expected = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "crds").glob("*.yaml"))]
    for crd in found:
        assert crd["metadata"].pop("labels")
        assert crd["metadata"].pop("annotations", None) == annotations
    assert sorted(found, key=lambda crd: str(crd["metadata"]["name"])) == expected


def test_the_crds_can_be_left_out(helm: Helm) -> None:
    assert helm.objects("--set=crds.enabled=false").of("CustomResourceDefinition") == []


def test_the_chart_can_be_part_of_another(helm: Helm, tmp_path: Path) -> None:
    parent = tmp_path / "platform"
    shutil.copytree(CHART, parent / "charts" / "mediabucket")
    dependency = {"name": "mediabucket", "version": "0.1.0", "condition": "mediabucket.enabled"}
    (parent / "Chart.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [dependency]})
    )
    (parent / "values.yaml").write_text("global: {region: eu}\nmediabucket: {enabled: true}\n")
    assert helm.objects(chart=parent).one("Deployment")


def test_the_notes_tell_the_next_three_commands(helm: Helm, tmp_path: Path) -> None:
    text = notes(helm, tmp_path)
    require_golden("notes.txt", text)
    assert [line.strip() for line in text.splitlines() if line.startswith("   kubectl")] == [
        "kubectl create secret generic store-credentials --namespace mediabucket-system --from-env-file=store.env",
        "kubectl apply -f - <<'END'",
        "kubectl get mb --namespace default --watch",
    ]


def test_the_notes_hold_a_manifest_that_is_valid(helm: Helm, tmp_path: Path) -> None:
    lines = notes(helm, tmp_path).partition("<<'END'\n")[2].partition("   END\n")[0].splitlines()
    manifest = load_manifest_text("\n".join(line[3:] for line in lines), "notes.yaml")
    [store], [bucket] = manifest.object_stores, manifest.media_buckets
    reference = store.spec.credentials_secret_ref
    assert reference is not None
    assert (reference.namespace, reference.name) == ("mediabucket-system", "store-credentials")
    assert bucket.spec.store_ref.name == store.metadata.name
    assert bucket.spec.service.state is ServiceState.DISABLED


def test_the_notes_say_that_crds_are_missing(helm: Helm, tmp_path: Path) -> None:
    assert "CustomResourceDefinitions" in notes(helm, tmp_path, "--set=crds.enabled=false")
