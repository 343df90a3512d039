"""Manifests for tests: the least that is valid, and whatever a test adds."""

from textwrap import dedent, indent

import pytest

from mediabucket_api.manifest import ManifestInvalid, Problem, load_manifest_text


def media_bucket(spec: str = "", *, name: str = "chat", store: str = "embedded", namespace: str = "default") -> str:
    head = f"""\
apiVersion: mediabucket.dev/v1alpha1
kind: MediaBucket
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  storeRef: {{name: {store}}}
"""
    return head + indent(dedent(spec).strip(), "  ") + "\n"


def object_store(spec: str = "", *, name: str = "embedded") -> str:
    head = f"""\
apiVersion: mediabucket.dev/v1alpha1
kind: ObjectStore
metadata: {{name: {name}}}
spec:
  endpoint: https://s3.example.com
  credentialsSecretRef: {{namespace: media, name: keys}}
"""
    return head + indent(dedent(spec).strip(), "  ") + "\n"


def secret(values: str) -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: keys, namespace: media}}\n{values}\n"


def problems_of(text: str) -> tuple[Problem, ...]:
    """Everything that is wrong with a manifest; fails when nothing is."""
    with pytest.raises(ManifestInvalid) as raised:
        load_manifest_text(text, "chat.yaml")
    return raised.value.problems
