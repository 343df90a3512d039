"""What the operator asked of the API server, from the server's own audit log."""

import json
from collections.abc import Iterator
from typing import Any

from kube_cluster import KubeCluster
from operator_process import OPERATOR_ACCOUNT

_USER = f"system:serviceaccount:{OPERATOR_ACCOUNT}"
_FORBIDDEN = 403
# Nothing can be made in a namespace that is on its way out, whatever the roles say.
_TERMINATING = "because it is being terminated"


def operator_calls(kube: KubeCluster, after_line: int = 0) -> Iterator[dict[str, Any]]:
    """The entries of the log: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/."""
    for line in kube.audit_log.read_text().splitlines()[after_line:]:
        entry: dict[str, Any] = json.loads(line)
        # Who is turned away before it is known who asks has no name in the log.
        if entry["user"].get("username") == _USER:
            yield entry


def forbidden_calls(kube: KubeCluster) -> list[str]:
    """What the operator's roles did not let it do."""
    return sorted(
        {
            f"{entry['verb']} {entry['requestURI']}"
            for entry in operator_calls(kube)
            if (answer := entry.get("responseStatus", {})).get("code") == _FORBIDDEN
            and _TERMINATING not in answer.get("message", "")
        }
    )
