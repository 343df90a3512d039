"""What the operator's process is told by its environment; everything about buckets comes from the resources."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class OperatorSettings(BaseSettings):
    """Read from `MEDIABUCKET_OPERATOR_*`; a wrong or missing value stops the start with a sentence that names it."""

    model_config = SettingsConfigDict(env_prefix="MEDIABUCKET_OPERATOR_", frozen=True, env_ignore_empty=True)

    # Where the credentials of ObjectStores are: nowhere else does the operator read Secrets it was not named.
    namespace: str
    # Who marks a bucket; default: the UID of the namespace kube-system. Name one that outlives the cluster's rebuild.
    cluster_id: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    # The upload service released with this operator.
    service_image: str | None = None
    # Names of Secrets with which it is fetched, in the namespace of each MediaBucket; a JSON list.
    service_image_pull_secrets: tuple[str, ...] = ()
    ingress_class: str | None = None
    # `<namespace>/<name>` of the Gateway that HTTPRoutes attach to.
    gateway: Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9.-]+$")] | None = None
    # Visits at the same time, each in a thread of its own; one store holds half of them at most. Twice as many are
    # faster, and too much for SeaweedFS 4.48, which hung where many buckets were made at once: docs/operations.md.
    workers: Annotated[int, Field(ge=1, le=64)] = 16
    host: str = "0.0.0.0"
    # Serves /healthz and /metrics; 0 for any free one.
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    # How often the Secrets of ObjectStores are looked at, by name.
    store_poll_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    probe_interval_seconds: Annotated[float, Field(ge=60)] = 86_400
