"""Asks a real API server what it has against an object, and the Python loader the same."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3
import yaml
from kube_cluster import ADMIN, KubeCluster

from mediabucket_api.manifest import ManifestInvalid, load_manifest_text

CRDS: Final = Path(__file__).resolve().parents[2] / "crds"
PLURALS: Final = {"MediaBucket": "mediabuckets", "ObjectStore": "objectstores"}
API: Final = "/apis/mediabucket.dev/v1alpha1"
TEAM: Final = "validation"


def schema_of(kind: str) -> dict[str, Any]:
    document = yaml.safe_load((CRDS / f"{PLURALS[kind]}.yaml").read_text())
    root: dict[str, Any] = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root


@dataclass(frozen=True)
class Refusal:
    """What the API server has against an object: (field, message) of each cause."""

    message: str
    causes: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, answer: dict[str, Any]) -> "Refusal":
        causes = [(cause["field"], cause["message"]) for cause in answer.get("details", {}).get("causes", [])]
        strict = re.findall(r'((?:unknown|duplicate) field) "([^"]+)"', answer["message"])
        return cls(answer["message"], (*causes, *((field, words) for words, field in strict)))

    def tells(self, field: str, message: str) -> bool:
        """Whether one cause is about this field in these words; both are regular expressions."""
        return any(
            re.fullmatch(field, its_field) and re.fullmatch(message, its_message, re.DOTALL)
            for its_field, its_message in self.causes
        )


class Server:
    """Plain requests: a process of kubectl for each of some hundred cases would take minutes."""

    def __init__(self, kube: KubeCluster) -> None:
        certificate = kube.directory / "certificates" / "apiserver.crt"
        self._pool = urllib3.PoolManager(ca_certs=str(certificate))
        self._url = kube.url
        self._headers = {"Authorization": f"Bearer {kube.tokens[ADMIN]}", "Content-Type": "application/json"}

    def refusal(self, kind: str, spec: Any, *, name: str = "media", dry_run: bool = True) -> Refusal | None:
        """What the API server has against creating it; None when it accepts it."""
        return self.refusal_of_text(kind, json.dumps(document(kind, spec, name)), dry_run=dry_run)

    def refusal_of_text(self, kind: str, text: str, *, dry_run: bool = True) -> Refusal | None:
        query = "fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        return self._send("POST", f"{collection(kind)}?{query}", text)

    def refusal_of_change(self, before: Any, after: Any, name: str) -> Refusal | None:
        """What it has against this change of a MediaBucket that it accepted."""
        assert self.refusal("MediaBucket", before, name=name, dry_run=False) is None
        return self._change(name, "", {"spec": after})

    def refusal_of_status(self, name: str, status: Any) -> Refusal | None:
        return self._change(name, "/status", {"status": status})

    def live(self, name: str) -> dict[str, Any]:
        path = f"{collection('MediaBucket')}/{name}"
        found: dict[str, Any] = json.loads(self._pool.request("GET", self._url + path, headers=self._headers).data)
        return found

    def _change(self, name: str, subresource: str, part: dict[str, Any]) -> Refusal | None:
        path = f"{collection('MediaBucket')}/{name}{subresource}?fieldValidation=Strict&dryRun=All"
        return self._send("PUT", path, json.dumps({**self.live(name), **part}))

    def _send(self, method: str, path: str, text: str) -> Refusal | None:
        answer = self._pool.request(method, self._url + path, body=text, headers=self._headers)
        return None if answer.status < 300 else Refusal.of(json.loads(answer.data))


def collection(kind: str) -> str:
    scope = f"/namespaces/{TEAM}" if kind == "MediaBucket" else ""
    return f"{API}{scope}/{PLURALS[kind]}"


def document(kind: str, spec: Any, name: str = "media") -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": TEAM} if kind == "MediaBucket" else {})
    return {"apiVersion": "mediabucket.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def loader_refuses(kind: str, spec: Any, name: str = "media") -> list[str]:
    """The fields that the loader finds wrong; none when it accepts the object."""
    try:
        load_manifest_text(json.dumps(document(kind, spec, name)), "case")
    except ManifestInvalid as invalid:
        return [problem.field for problem in invalid.problems]
    return []
