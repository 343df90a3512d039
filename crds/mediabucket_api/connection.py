"""How a program reaches a bucket: written by whoever provisions it, read by every application that uses it.

The keys are those of a Rook object bucket claim and of COSI, so that applications written for either run unchanged.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from mediabucket_api.object_store import AddressingStyle
from mediabucket_api.spec import MediaBucketSpec

# The effective spec as JSON: a key of the ConfigMap, mounted as a file that MEDIABUCKET_FILE names.
SPEC_KEY = "mediabucket.json"
SPEC_FILE_VARIABLE = "MEDIABUCKET_FILE"
CAPABILITIES_KEY = "STORE_CAPABILITIES"


class ConnectionIncomplete(ValueError):
    """A key that an application needs is missing from the environment."""


class StoreConnection(BaseModel):
    """An S3-compatible store and the identity to use it with. Endpoints are URLs without a path."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    # What URLs handed to clients are signed for: the Host header is part of a signature.
    public_endpoint: str
    region: str = "us-east-1"
    addressing_style: AddressingStyle = AddressingStyle.PATH
    access_key_id: str
    secret_access_key: SecretStr
    session_token: SecretStr | None = None
    # PEM, not a path.
    ca_bundle: str | None = None


class BucketConnection(BaseModel):
    """A bucket on a store, and the rules that its MediaBucket sets for uploads."""

    model_config = ConfigDict(frozen=True)

    store: StoreConnection
    bucket: str
    spec: MediaBucketSpec
    media_service_url: str | None = None
    # What a probe found out about the store: the name of a capability to Enforced, Ignored or Unsupported.
    capabilities: dict[str, str] = Field(default_factory=dict)

    def to_config_map(self) -> dict[str, str]:
        """The data of the ConfigMap `<name>-media`."""
        endpoint = urlsplit(self.store.endpoint)
        style = self.store.addressing_style
        data = {
            "BUCKET_HOST": endpoint.hostname or "",
            "BUCKET_PORT": str(endpoint.port or (443 if endpoint.scheme == "https" else 80)),
            "BUCKET_NAME": self.bucket,
            "BUCKET_REGION": self.store.region,
            "BUCKET_SSL": "true" if endpoint.scheme == "https" else "false",
            "BUCKET_ENDPOINT": self.store.endpoint,
            "BUCKET_PUBLIC_ENDPOINT": self.store.public_endpoint,
            "BUCKET_ADDRESSING_STYLE": style.value,
            "COSI_S3_ENDPOINT": self.store.endpoint,
            "COSI_S3_REGION": self.store.region,
            "COSI_S3_BUCKET_ID": self.bucket,
            "COSI_S3_ADDRESSING_STYLE": style.value.lower(),
            SPEC_KEY: self.spec.model_dump_json(by_alias=True, exclude_none=True),
        }
        optional = {
            "BUCKET_CA_BUNDLE": self.store.ca_bundle,
            "MEDIA_SERVICE_URL": self.media_service_url,
            CAPABILITIES_KEY: ",".join(f"{name}={verdict}" for name, verdict in sorted(self.capabilities.items())),
        }
        return data | {key: value for key, value in optional.items() if value}

    def to_secret(self) -> dict[str, str]:
        """The (decoded) data of the Secret `<name>-media`."""
        secret_access_key = self.store.secret_access_key.get_secret_value()
        data = {
            "AWS_ACCESS_KEY_ID": self.store.access_key_id,
            "AWS_SECRET_ACCESS_KEY": secret_access_key,
            "COSI_S3_ACCESS_KEY_ID": self.store.access_key_id,
            "COSI_S3_ACCESS_SECRET_KEY": secret_access_key,
        }
        if self.store.session_token is not None:
            data["AWS_SESSION_TOKEN"] = self.store.session_token.get_secret_value()
        return data

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read what `to_config_map` and `to_secret` wrote.

        Raises ConnectionIncomplete naming every key that is missing.
        """
        required = ("BUCKET_NAME", "BUCKET_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        missing = [key for key in required if not environment.get(key)]
        if not environment.get(SPEC_KEY) and not environment.get(SPEC_FILE_VARIABLE):
            missing.append(SPEC_FILE_VARIABLE)
        if missing:
            raise ConnectionIncomplete(f"missing from the environment: {', '.join(missing)}")
        return cls(
            store=StoreConnection(
                endpoint=environment["BUCKET_ENDPOINT"],
                public_endpoint=environment.get("BUCKET_PUBLIC_ENDPOINT") or environment["BUCKET_ENDPOINT"],
                region=environment.get("BUCKET_REGION") or "us-east-1",
                addressing_style=AddressingStyle(environment.get("BUCKET_ADDRESSING_STYLE") or "Path"),
                access_key_id=environment["AWS_ACCESS_KEY_ID"],
                secret_access_key=SecretStr(environment["AWS_SECRET_ACCESS_KEY"]),
                session_token=SecretStr(token) if (token := environment.get("AWS_SESSION_TOKEN")) else None,
                ca_bundle=environment.get("BUCKET_CA_BUNDLE") or None,
            ),
            bucket=environment["BUCKET_NAME"],
            spec=MediaBucketSpec.model_validate_json(_spec_text(environment)),
            media_service_url=environment.get("MEDIA_SERVICE_URL") or None,
            capabilities=_capabilities(environment.get(CAPABILITIES_KEY, "")),
        )


def webhook_secret_variable(name: str) -> str:
    """The environment variable that holds the signing secret of a webhook."""
    return f"MEDIABUCKET_WEBHOOK_SECRET_{name.upper().replace('-', '_')}"


def _capabilities(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return {name.strip(): verdict.strip() for name, _, verdict in pairs}


def _spec_text(environment: Mapping[str, str]) -> str:
    inline = environment.get(SPEC_KEY)
    return inline if inline else Path(environment[SPEC_FILE_VARIABLE]).read_text(encoding="utf-8")
