"""The manifests of the README are accepted by a real API server as they stand."""

import re
from pathlib import Path

from kube_cluster import KubeCluster
from operator_process import namespace

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_manifests_of_the_readme_are_accepted(kube: KubeCluster) -> None:
    [manifest] = re.findall(r"<<'YAML'\n(.*?)\nYAML", README.read_text(), re.DOTALL)
    kube.apply(namespace("chat"))
    told = kube.kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifest)
    assert told.split() == [
        "objectstore.mediabucket.dev/main",
        "created",
        "(server",
        "dry",
        "run)",
        "mediabucket.mediabucket.dev/avatars",
        "created",
        "(server",
        "dry",
        "run)",
    ]


def test_the_examples_are_accepted(kube: KubeCluster) -> None:
    examples = README.parent / "examples"
    kube.apply(namespace("chat"), namespace("mediabucket-system"))
    for file in sorted(examples.glob("*.yaml")):
        kube.kubectl("apply", "--dry-run=server", "-f", str(file))
