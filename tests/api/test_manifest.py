"""Manifests: what a good one means, and that a bad one is told about as a whole."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifests import media_bucket, object_store, problems_of, secret

from mediabucket_api.manifest import ManifestInvalid, load_manifest, load_manifest_text
from mediabucket_api.problems import MAX_LINES
from mediabucket_api.spec import Integrity, MediaBucketSpec

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))

EVERYTHING_WRONG = """\
apiVersion: mediabucket.dev/v1alpha1
kind: MediaBucket
metadata: {name: chat}
spec:
  storeReff: {name: embedded}
  deletionPolicy: Destroy
  adoptionPolicy: Adopt
  encryption: {type: SSEKMS}
  uploads:
    maxBytes: lots
    urlTTLSeconds: 7200
---
kind: Bucket
---
- 1
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
data: {one: '***', two: '***'}
"""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_load(path: Path) -> None:
    manifest = load_manifest(path)
    stores = {store.metadata.name for store in manifest.object_stores} or {"embedded"}
    assert [bucket.spec.store_ref.name in stores for bucket in manifest.media_buckets] == [True]
    references = [store.spec.credentials_secret_ref for store in manifest.object_stores]
    named = {(reference.namespace, reference.name) for reference in references if reference is not None}
    assert named == set(manifest.secrets)


def test_there_are_examples() -> None:
    assert [path.stem for path in EXAMPLES] == ["aliyun-oss", "aws-irsa", "aws", "ceph", "chat-media", "seaweedfs"]


def test_the_default_example_changes_no_default_but_origins() -> None:
    (bucket,) = load_manifest(Path(__file__).parents[2] / "examples" / "chat-media.yaml").media_buckets
    spec = MediaBucketSpec.model_validate({"storeRef": {"name": "embedded"}})
    origins = ("http://*",)
    assert bucket.bucket_name == "default-chat-media"
    assert bucket.spec == spec.model_copy(update={"cors": bucket.spec.cors})
    assert bucket.spec.cors == spec.cors.model_copy(update={"allowed_origins": origins})


def test_documents_come_back_by_kind() -> None:
    keys = secret("stringData: {AWS_ACCESS_KEY_ID: mine}\ndata: {AWS_SECRET_ACCESS_KEY: aGlkZGVu}")
    text = "\n---\n".join(["# nothing yet", keys, object_store(), media_bucket("uploads: {integrity: Signed}")])
    manifest = load_manifest_text(text, "chat.yaml")
    assert manifest.media_buckets[0].spec.uploads.integrity is Integrity.SIGNED
    assert manifest.object_stores[0].spec.endpoint == "https://s3.example.com"
    assert manifest.secrets == {("media", "keys"): {"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "hidden"}}


def test_plain_text_of_a_secret_wins_over_base64() -> None:
    manifest = load_manifest_text(secret("data: {key: b2xk}\nstringData: {key: new}"), "keys.yaml")
    assert manifest.secrets[("media", "keys")] == {"key": "new"}


def test_no_secret_is_ever_printed() -> None:
    assert "hidden" not in repr(load_manifest_text(secret("stringData: {key: hidden}"), "keys.yaml"))
    for values in (
        "data: {key: hidden!}",
        "data: {key: [hidden]}",
        "stringData: hidden",
        "stringData: {key: [hidden]}",
    ):
        assert "hidden" not in "".join(map(str, problems_of(secret(values))))


def test_an_empty_field_means_its_default() -> None:
    manifest = load_manifest_text(media_bucket("cors:\nuploads: ~\nbucketName:"), "chat.yaml")
    assert manifest == load_manifest_text(media_bucket(), "chat.yaml")


def test_what_a_cluster_answered_is_ignored() -> None:
    exported = media_bucket() + "status: {bucketName: other, tomorrow: {}}\n"
    exported = exported.replace("name: chat", "name: chat, resourceVersion: '7', managedFields: []")
    assert load_manifest_text(exported, "chat.yaml") == load_manifest_text(media_bucket(), "chat.yaml")


def test_anchors_may_repeat_a_value() -> None:
    text = media_bucket("tags: [{key: a, value: &team chat}, {key: b, value: *team}]")
    (bucket,) = load_manifest_text(text, "chat.yaml").media_buckets
    assert [tag.value for tag in bucket.spec.tags] == ["chat", "chat"]


def test_a_date_is_text_as_in_kubernetes() -> None:
    (bucket,) = load_manifest_text(media_bucket("tags: [{key: since, value: 2026-01-01}]"), "a.yaml").media_buckets
    assert bucket.spec.tags[0].value == "2026-01-01"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "chat.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + media_bucket().encode())
    assert len(load_manifest(path).media_buckets) == 1


def test_names_may_repeat_across_namespaces_and_kinds() -> None:
    documents = [object_store(name="chat"), media_bucket(store="chat"), media_bucket(store="chat", namespace="other")]
    assert len(load_manifest_text("---\n".join(documents), "chat.yaml").media_buckets) == 2


def test_one_bucket_name_may_exist_on_two_stores() -> None:
    one = media_bucket("bucketName: media", name="one", store="here")
    other = media_bucket("bucketName: media", name="other", store="there")
    assert len(load_manifest_text(f"{one}---\n{other}", "chat.yaml").media_buckets) == 2


def test_all_problems_of_all_documents_are_told_at_once() -> None:
    told = [(problem.document, problem.line, problem.field) for problem in problems_of(EVERYTHING_WRONG)]
    assert told == [
        (1, 4, "spec.storeRef"),
        (1, 4, "spec"),
        (1, 5, "spec.storeReff"),
        (1, 8, "spec.encryption"),
        (1, 9, "spec.uploads"),
        (1, 10, "spec.uploads.maxBytes"),
        (2, 13, "apiVersion"),
        (2, 13, "kind"),
        (3, 15, ""),
        (4, 20, "data.one"),
        (4, 20, "data.two"),
    ]


def test_a_rule_is_silent_while_a_field_that_it_reads_is_wrong() -> None:
    problems = problems_of(media_bucket("uploads: {urlTTLSeconds: 7200, staleAfterSeconds: later}"))
    assert [problem.field for problem in problems] == ["spec.uploads.staleAfterSeconds"]


def test_two_broken_rules_of_one_part_are_both_told() -> None:
    problems = problems_of(
        media_bucket("deletionPolicy: Destroy\nadoptionPolicy: Adopt\nlifecycle: {expireNoncurrentDays: 1}")
    )
    assert [problem.field for problem in problems] == ["spec", "spec"]


def test_documents_are_counted_as_separated_in_the_file() -> None:
    (problem,) = problems_of(f"# first\n---\n---\n{media_bucket('uploads: 1')}")
    assert (problem.document, problem.line) == (2, 9)


def test_a_problem_reads_as_place_resource_field_and_sentence() -> None:
    (problem,) = problems_of(media_bucket("uploads: {maxBytes: 0}"))
    assert str(problem) == (
        "chat.yaml:6: document 1 MediaBucket/chat: "
        "spec.uploads.maxBytes is 0: expected a whole number from 1 to 5497558138880"
    )


def test_many_problems_fit_one_screen() -> None:
    problems = problems_of(media_bucket(f"tags: [{', '.join(['{}'] * 30)}]"))
    lines = str(ManifestInvalid(problems)).splitlines()
    assert len(problems) == 60
    assert lines[-1] == f"... and {60 - MAX_LINES} more"
    assert len(lines) == MAX_LINES + 1


def test_a_long_value_is_cut() -> None:
    (problem,) = problems_of(media_bucket(f"bucketName: {'x' * 5000}"))
    assert len(str(problem)) < 300


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: \xff", "is not UTF-8 text: save it as UTF-8"),
        ("a: b".encode("utf-16"), "is not UTF-8 text"),
        (b"#" * (1024**2 + 5), "the file is larger than 1048576 bytes"),
    ],
    ids=["latin", "utf-16", "huge"],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "chat.yaml"
    path.write_bytes(content)
    with pytest.raises(ManifestInvalid, match=words):
        load_manifest(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match=r"none\.yaml: does not exist: check the path"):
        load_manifest(tmp_path / "none.yaml")


def test_a_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match="is a directory: expected one manifest file"):
        load_manifest(tmp_path)


@given(text=st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    with pytest.raises(ManifestInvalid):
        load_manifest_text(text, "any.yaml")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["uploads", "cors", "tags", "bucketName", "service", "encryption", "lifecycle", "versioning", "storeRef"]


@settings(max_examples=200)
@given(spec=st.dictionaries(st.sampled_from(FIELDS), JSON), name=JSON)
def test_no_value_raises_anything_else(spec: dict[str, Any], name: object) -> None:
    document = {"apiVersion": "mediabucket.dev/v1alpha1", "kind": "MediaBucket", "metadata": {"name": name}}
    with pytest.raises(ManifestInvalid):
        load_manifest_text(json.dumps(document | {"spec": spec | {"unknown": 1}}), "any.yaml")
