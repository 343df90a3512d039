"""The chart's values: generated with their schema from one source, all of them used, and wrong ones refused."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "mediabucket"
SCRIPT = ROOT / "scripts" / "chart.py"
EVERYTHING = Path(__file__).parent / "everything.values.yaml"


@pytest.fixture(scope="module")
def generator() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("chart_generator", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Pydantic looks its models' module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def leaves(values: dict[str, Any], free: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Dotted path to value. Below a path in `free`, keys belong to the user."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in free:
            found |= {f"{name}.{path}": leaf for path, leaf in leaves(value, free).items()}
        else:
            found[name] = value
    return found


def defaults() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


def maps_of_users() -> frozenset[str]:
    """Names of values that are empty maps by default."""
    return frozenset(path.rpartition(".")[2] for path, value in leaves(defaults()).items() if value == {})


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of the schema that describes an object."""
    if isinstance(schema, list):
        for item in schema:
            yield from objects(item)
    elif isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for item in schema.values():
            yield from objects(item)


def refusal(helm_program: Path, values: str) -> str:
    """What Helm says about these values, which it must not accept."""
    command = [str(helm_program), "template", "mediabucket", str(CHART), "--kube-version=1.31.0", "--values=-"]
    result = subprocess.run(command, input=values, capture_output=True, check=False, text=True)
    assert result.returncode != 0, "Helm accepted it"
    return result.stderr


def test_generated_files_are_what_the_script_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], check=True)
    written = {str(file.relative_to(tmp_path)): file.read_text() for file in tmp_path.rglob("*.*")}
    names = {"values.yaml", "values.schema.json", "templates/crd-mediabuckets.yaml", "templates/crd-objectstores.yaml"}
    assert written.keys() == names
    for name, text in written.items():
        assert (CHART / name).read_text() == text, f"{name} is not up to date: run `python scripts/chart.py`"


def test_a_crd_that_is_gone_is_removed(generator: ModuleType, tmp_path: Path) -> None:
    stale = tmp_path / "templates" / "crd-former.yaml"
    stale.parent.mkdir()
    stale.touch()
    generator.main([str(tmp_path)])
    assert not stale.exists()


def test_crds_are_copied_byte_for_byte(generator: ModuleType) -> None:
    for file in (ROOT / "crds").glob("*.yaml"):
        text = generator.crd_template(file.name, file.read_text())
        # What Helm does not evaluate is the file itself.
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("{{-")]
        added = ["  labels:", "  annotations:", "    helm.sh/resource-policy: keep"]
        assert [line for line in lines if line not in added] == file.read_text().splitlines()


def test_braces_in_a_crd_are_no_template(generator: ModuleType, helm_program: Path, tmp_path: Path) -> None:
    text = "a: '{{ .Values.x }} {{{b}}} }}{{ {c}'\n"
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "text.yaml").write_text(generator.escaped(text))
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: braces, version: 0.1.0}")
    command = [str(helm_program), "template", "braces", str(tmp_path)]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert printed.endswith(text)


def test_each_value_has_a_comment() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    inside_of_resources = {"cpu", "memory"}
    for number, line in enumerate(lines):
        key = re.match(r" *(\w+):", line)
        if key and key[1] not in inside_of_resources:
            assert lines[number - 1].lstrip().startswith("# "), f"{line} has no comment"


def test_each_value_is_used_by_a_template() -> None:
    text = "".join(file.read_text() for file in (CHART / "templates").rglob("*.*"))
    used = set(re.findall(r"\.Values\.([\w.]+)", text))
    paths = leaves(defaults())
    # image and serviceImage are handed over whole.
    assert [path for path in paths if not {path, path.partition(".")[0]} & used] == []
    assert [path for path in used if not any(f"{leaf}.".startswith(f"{path}.") for leaf in paths)] == []


def test_each_value_is_in_the_reference() -> None:
    rows = set(re.findall(r"^\| `([\w.]+)` \|", (CHART / "README.md").read_text(), re.MULTILINE))
    assert len(rows) > 40
    # What is in an amount of resources is the user's.
    paths = [re.sub(r"^(resources\.\w+)\..*", r"\1", path) for path in leaves(defaults())]
    assert [path for path in paths if path not in rows] == []


def test_the_whole_set_of_values_leaves_none_out() -> None:
    values = yaml.safe_load(EVERYTHING.read_text())
    expected, found = leaves(defaults(), maps_of_users()), leaves(values, maps_of_users())
    assert found.keys() == expected.keys()
    assert [path for path, value in found.items() if value == expected[path]] == []


def test_the_schema_knows_all_keys_and_no_others(generator: ModuleType) -> None:
    parts = list(objects(yaml.safe_load(generator.values_schema())))
    assert len(parts) > 10
    assert [part["properties"].keys() for part in parts if part.get("additionalProperties") is not False] == []


@pytest.mark.parametrize(
    ("values", "path", "reason"),
    [
        ("replicas: 2", "", "'replicas' not allowed"),
        ("image: {repositry: x}", "/image", "'repositry' not allowed"),
        ("metrics: {service: {enabld: true}}", "/metrics/service", "'enabld' not allowed"),
        ("tolerations: [{kee: x}]", "/tolerations/0", "'kee' not allowed"),
        ("affinity: {podsAffinity: {}}", "/affinity", "'podsAffinity' not allowed"),
        ("crds: {enabled: 'true'}", "/crds/enabled", "got string, want boolean"),
        ("image: {tag: 1.10}", "/image/tag", "got number, want string"),
        ("image: {repository: operator:latest}", "/image/repository", "does not match pattern"),
        ("image: {digest: sha256:1234}", "/image/digest", "does not match pattern"),
        ("image: {pullPolicy: Sometimes}", "/image/pullPolicy", "must be one of 'Always', 'IfNotPresent', 'Never'"),
        ("operator: {workers: 0}", "/operator/workers", "minimum: got 0, want 1"),
        ("operator: {workers: many}", "/operator/workers", "got string, want integer"),
        ("operator: {logLevel: info}", "/operator/logLevel", "'INFO'"),
        ("operator: {gateway: public}", "/operator/gateway", "does not match pattern"),
        ("resources: {limits: {memory: lots}}", "/resources/limits/memory", "'lots' does not match pattern"),
        ("extraEnv: [{name: A}]", "/extraEnv/0", "missing property 'value'"),
        ("imagePullSecrets: [registry]", "/imagePullSecrets/0", "got string, want object"),
        ("nodeSelector: {size: 3}", "/nodeSelector/size", "got number, want string"),
        ("rbac: {namespaces: chat}", "/rbac/namespaces", "got string, want array"),
    ],
)
def test_wrong_values_are_refused_in_words(helm_program: Path, values: str, path: str, reason: str) -> None:
    said = refusal(helm_program, values)
    assert "values don't meet the specifications of the schema(s)" in said
    assert f"at '{path}'" in said
    assert reason in said
