"""The CustomResourceDefinitions: generated, structural, bounded, and with defaults that pass their own rules."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import refusals, schemas, with_defaults

from mediabucket_api.crd import HEADER, crd_documents, crd_files
from mediabucket_api.resources import MediaBucket, ObjectStore

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = {document["spec"]["names"]["kind"]: document for document in crd_documents()}
ROOTS = {kind: document["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for kind, document in DOCUMENTS.items()}


NODES = {path: node for kind, root in ROOTS.items() for path, node in schemas(root, kind)}


def node_at(kind: str, path: str) -> dict[str, Any]:
    return NODES[kind + path]


@pytest.mark.parametrize(("name", "content"), crd_files().items(), ids=list(crd_files()))
def test_committed_files_are_what_the_models_generate(name: str, content: str) -> None:
    assert (REPOSITORY / "crds" / name).read_bytes() == content.encode(), "run `make crds`"


def test_no_other_file_lies_beside_them() -> None:
    assert {path.name for path in (REPOSITORY / "crds").glob("*.yaml")} == set(crd_files())


def test_the_module_writes_both_files_into_a_directory(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "mediabucket_api", str(tmp_path)], check=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == crd_files()


def test_the_first_line_says_that_the_file_is_generated() -> None:
    assert all(content.startswith(HEADER) for content in crd_files().values())


def test_the_yaml_means_the_document_without_anchors() -> None:
    for document, content in zip(crd_documents(), crd_files().values(), strict=True):
        assert yaml.safe_load(content) == document
        assert not any(isinstance(token, yaml.AnchorToken | yaml.AliasToken) for token in yaml.scan(content))


def is_structural(node: dict[str, Any]) -> bool:
    refused = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "const", "title", "nullable", "propertyNames"}
    foreign = {key for key in node if key.startswith("x-") and not key.startswith("x-kubernetes-")}
    known_type = node["type"] in {"object", "array", "string", "integer"}
    return (
        known_type and not (refused | foreign) & set(node) and not {"properties", "additionalProperties"} <= set(node)
    )


def is_bounded(node: dict[str, Any]) -> bool:
    bounds = {
        "string": {"maxLength", "enum", "format"},
        "array": {"maxItems"},
        "integer": {"minimum"},
        "object": {"maxProperties", "properties"},
    }
    return bool(bounds[node["type"]] & set(node))


def test_every_schema_is_structural() -> None:
    assert [path for path, node in NODES.items() if not is_structural(node)] == []


def test_everything_is_bounded() -> None:
    assert [path for path, node in NODES.items() if not is_bounded(node)] == []


def test_numbers_are_64_bits_wide() -> None:
    integers = [node for node in NODES.values() if node["type"] == "integer"]
    assert {node["format"] for node in integers} == {"int64"}


def test_every_list_says_how_it_is_merged() -> None:
    lists = [node for node in NODES.values() if node["type"] == "array"]
    assert {node["x-kubernetes-list-type"] for node in lists} == {"atomic", "set", "map"}


def test_lists_that_several_write_are_merged() -> None:
    atomic = {path for path, node in NODES.items() if node.get("x-kubernetes-list-type") == "atomic"}
    assert atomic == {
        "MediaBucket.status.capabilities",
        "MediaBucket.status.lifecycle",
        "MediaBucket.status.plan",
        "ObjectStore.status.capabilities",
    }


def test_every_field_is_described() -> None:
    assert [path for path, node in NODES.items() if "description" not in node and not path.endswith("[]")] == [
        "ObjectStore.spec.allowedNamespaces.matchLabels{}"
    ]


def test_keys_of_list_maps_are_required() -> None:
    maps = [node for node in NODES.values() if "x-kubernetes-list-map-keys" in node]
    assert all(set(node["x-kubernetes-list-map-keys"]) <= set(node["items"]["required"]) for node in maps)


def test_api_server_defaults_are_the_models_defaults() -> None:
    store_ref = {"storeRef": {"name": "embedded"}}
    filled_in = with_defaults(ROOTS["MediaBucket"]["properties"]["spec"], store_ref)
    resource = MediaBucket.model_validate({"metadata": {"name": "chat"}, "spec": store_ref})
    assert filled_in == resource.spec.model_dump(mode="json", by_alias=True, exclude_none=True)


def test_api_server_defaults_are_the_models_defaults_for_a_store() -> None:
    given = {"endpoint": "https://s3.example.com", "credentialsSecretRef": {"namespace": "a", "name": "b"}}
    filled_in = with_defaults(ROOTS["ObjectStore"]["properties"]["spec"], given)
    resource = ObjectStore.model_validate({"metadata": {"name": "aws"}, "spec": given})
    assert filled_in == resource.spec.model_dump(mode="json", by_alias=True, exclude_none=True)


def test_a_default_passes_its_rules_before_anything_is_filled_in() -> None:
    """So the API server checks it when the definition is applied; a default of `{}` is refused there."""
    ruled = [node for node in NODES.values() if "default" in node and "x-kubernetes-validations" in node]
    assert len(ruled) >= 5
    for node in ruled:
        assert refusals(node, node["default"]) == []


def test_a_part_given_in_part_gets_the_rest_filled_in() -> None:
    given = {"storeRef": {"name": "embedded"}, "service": {"resources": {"requests": {"cpu": "1"}}}}
    filled_in = with_defaults(ROOTS["MediaBucket"]["properties"]["spec"], given)
    assert filled_in["service"]["resources"] == {"requests": {"cpu": "1"}, "limits": {"memory": "512Mi"}}
    assert filled_in["service"]["replicas"] == {"min": 2, "max": 6}


def test_a_status_has_no_defaults() -> None:
    for root in ROOTS.values():
        assert not [path for path, node in schemas(root["properties"]["status"], "status") if "default" in node]


def test_no_field_is_a_phase() -> None:
    assert not [path for root in ROOTS.values() for path, _ in schemas(root, "") if path.endswith(".phase")]


def test_names_scope_and_subresource() -> None:
    bucket, store = DOCUMENTS["MediaBucket"], DOCUMENTS["ObjectStore"]
    assert (bucket["metadata"]["name"], bucket["spec"]["scope"]) == ("mediabuckets.mediabucket.dev", "Namespaced")
    assert (store["metadata"]["name"], store["spec"]["scope"]) == ("objectstores.mediabucket.dev", "Cluster")
    assert (bucket["spec"]["names"]["shortNames"], store["spec"]["names"]["shortNames"]) == (["mb"], ["ostore"])
    for document in DOCUMENTS.values():
        (version,) = document["spec"]["versions"]
        assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
        assert version["subresources"] == {"status": {}}
        assert document["spec"]["names"]["categories"] == ["media"]


def test_columns_of_kubectl_get() -> None:
    def columns(kind: str, priority: int) -> list[str]:
        all_columns = DOCUMENTS[kind]["spec"]["versions"][0]["additionalPrinterColumns"]
        return [column["name"] for column in all_columns if column.get("priority", 0) == priority]

    assert columns("MediaBucket", 0) == ["Ready", "Reason", "Bucket", "Store", "Age"]
    assert columns("MediaBucket", 1) == ["Policy", "Integrity", "URL"]
    assert columns("ObjectStore", 0) == ["Ready", "Endpoint", "Provider", "Age"]
    assert columns("ObjectStore", 1) == []


@pytest.mark.parametrize("kind", ROOTS)
def test_columns_point_at_fields_that_exist(kind: str) -> None:
    paths = {path for path, _ in schemas(ROOTS[kind], "")}
    for column in DOCUMENTS[kind]["spec"]["versions"][0]["additionalPrinterColumns"]:
        path = column["jsonPath"].replace('[?(@.type=="Ready")]', "[]")
        assert path in paths | {".metadata.creationTimestamp"}


@pytest.mark.parametrize(
    ("path", "golden"),
    [
        (".spec.uploads.maxBytes", {"minimum": 1, "maximum": 5497558138880, "default": 104857600}),
        (".spec.bucketName", {"maxLength": 63, "pattern": "^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$"}),
        (".spec.deletionPolicy", {"enum": ["Retain", "DeleteIfEmpty", "Destroy"], "default": "Retain"}),
        (".spec.requireTLS", {"enum": ["Enforced", "Disabled"], "default": "Enforced"}),
        (".spec.uploads.allowedMimeTypes", {"x-kubernetes-list-type": "set", "minItems": 1, "maxItems": 64}),
        (".spec.tags", {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"]}),
        (".status.conditions", {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
        (".status.conditions[].lastTransitionTime", {"type": "string", "format": "date-time"}),
        (".spec.service.auth", {"default": {"adminScope": "media:admin"}}),
        (".spec.service.resources.limits", {"default": {"memory": "512Mi"}}),
    ],
)
def test_golden_points(path: str, golden: dict[str, Any]) -> None:
    assert golden.items() <= node_at("MediaBucket", path).items()


def test_rules_stand_at_the_level_that_they_read() -> None:
    with_rules = [path for path, node in schemas(ROOTS["MediaBucket"], "") if "x-kubernetes-validations" in node]
    assert with_rules == [
        "",
        ".spec",
        ".spec.uploads",
        ".spec.encryption",
        ".spec.credentials.rotation",
        ".spec.service.replicas",
        ".spec.service.auth",
        ".spec.service.exposure",
    ]
