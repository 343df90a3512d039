"""The one foreign resource that a manifest may hold: a Secret, so that a store's credentials can stand beside it."""

import base64
import binascii
from typing import Literal

from pydantic import Field

from mediabucket_api.base import ApiModel
from mediabucket_api.resources import Metadata


class SecretUnreadable(ValueError):
    """A value under `data` is not base64 of UTF-8 text. The message never tells the value."""


class Secret(ApiModel):
    """https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/"""

    api_version: Literal["v1"] = "v1"
    kind: Literal["Secret"] = "Secret"
    metadata: Metadata
    type: str = "Opaque"
    immutable: bool = False
    data: dict[str, str] = Field(default_factory=dict, repr=False)
    string_data: dict[str, str] = Field(default_factory=dict, repr=False)

    def values(self) -> dict[str, str]:
        """All values as plain text; `stringData` wins. Raises SecretUnreadable."""
        return {key: decoded(text) for key, text in self.data.items()} | self.string_data


def decoded(text: str) -> str:
    """A value under `data` as plain text. Raises SecretUnreadable."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except binascii.Error:
        raise SecretUnreadable("is not base64: encode it, or write the plain text under stringData") from None
    except UnicodeDecodeError:
        raise SecretUnreadable("is base64 of bytes that are not UTF-8 text: expected text") from None
