"""The identity that a process has from where it runs: IRSA, EKS Pod Identity, an instance's role, or its environment.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from dataclasses import dataclass
from functools import cache
from threading import Lock

import botocore.session
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr


@dataclass(frozen=True)
class Keys:
    """What requests are signed with. Temporary keys have a session token."""

    access_key_id: str
    secret_access_key: SecretStr
    session_token: SecretStr | None = None


class NoIdentity(Exception):
    """There is none, or who gives it out refused: a sentence."""


class OwnIdentity:
    """botocore's chain of providers. Temporary keys are replaced before they end. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: Credentials | None = None

    def keys(self) -> Keys:
        """Keys that hold for some minutes at least. Raises NoIdentity."""
        with self._lock:
            try:
                # Looked for again as long as there is none: it may be late.
                self._found = self._found or botocore.session.Session().get_credentials()
                if self._found is None:
                    raise NoIdentity(
                        "the process has no identity of its own: no role of its ServiceAccount, no Pod identity, no"
                        " instance role, and no AWS_ACCESS_KEY_ID"
                    )
                frozen = self._found.get_frozen_credentials()
            # RuntimeError: what was given in their place has ended as well.
            except (BotoCoreError, ClientError, RuntimeError) as error:
                raise NoIdentity(f"the process's own identity could not be had: {error}") from error
        token = SecretStr(frozen.token) if frozen.token else None
        return Keys(frozen.access_key, SecretStr(frozen.secret_key), token)


@cache
def own_identity() -> OwnIdentity:
    """This process's."""
    return OwnIdentity()
