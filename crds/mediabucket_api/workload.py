"""The part of a MediaBucketSpec that is about the upload service as a workload."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from mediabucket_api.base import ApiModel, Expected, HttpUrl, ListType, Name, Rule, ShortText

HostName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
    Expected("a host name such as media.example.com, without scheme, port and path"),
]


class ServiceState(StrEnum):
    ENABLED = "Enabled"
    DISABLED = "Disabled"


class ExposureType(StrEnum):
    NONE = "None"
    INGRESS = "Ingress"
    HTTP_ROUTE = "HTTPRoute"


class SecretReference(ApiModel):
    """A Secret in the MediaBucket's own namespace."""

    name: Name
    """Name of the Secret."""
    key: ShortText | None = None
    """Key within the Secret, where more than one makes sense."""


class PullSecretReference(ApiModel):
    """A Secret of type kubernetes.io/dockerconfigjson in the MediaBucket's own namespace."""

    name: Name
    """Name of the Secret."""


class Replicas(ApiModel):
    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.min <= self.max",
            "replicas.min must not exceed replicas.max",
            lambda replicas: replicas.min <= replicas.max,
        ),
    )

    min: Annotated[int, Field(ge=1, le=100)] = 2
    """At least this many replicas."""
    max: Annotated[int, Field(ge=1, le=100)] = 6
    """At most this many replicas."""


Quantity = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$"),
    Expected('a quantity in quotes such as "500m", "2" or "512Mi"'),
]


class ResourceAmounts(ApiModel):
    cpu: Quantity | None = None
    """Processor time, such as 500m."""
    memory: Quantity | None = None
    """Memory, such as 512Mi."""


class Resources(ApiModel):
    requests: ResourceAmounts = ResourceAmounts(cpu="50m", memory="128Mi")
    """What each replica is promised."""
    limits: ResourceAmounts = ResourceAmounts(memory="512Mi")
    """What each replica may use at most."""


class SecretSource(ApiModel):
    """Where a connection URL comes from: the key `url` of a Secret unless the reference names another."""

    secret_ref: SecretReference | None = None
    """The Secret that holds the URL."""


class Auth(ApiModel):
    """How bearer tokens are checked: by a JWKS (RFC 7517) or by a shared secret (HS256)."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "!(has(self.jwksUrl) && has(self.secretRef))",
            "jwksUrl and secretRef exclude each other: tokens are checked by one of them",
            lambda auth: auth.jwks_url is None or auth.secret_ref is None,
        ),
    )

    jwks_url: HttpUrl | None = None
    """Where the keys of the token issuer are published."""
    secret_ref: SecretReference | None = None
    """The Secret that holds the shared secret."""
    issuer: ShortText | None = None
    """Required `iss` of a token; unset: any."""
    audience: ShortText | None = None
    """Required `aud` of a token; unset: any."""
    admin_scope: ShortText = "media:admin"
    """Who has this in the token's `scope` (RFC 8693) may erase the media of a user."""


class Events(ApiModel):
    """What the store tells the service: `POST /api/events/s3`."""

    secret_ref: SecretReference | None = None
    """The Secret whose key `secret`, unless another is named, notifications must carry; unset: none are taken."""


class Exposure(ApiModel):
    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "(self.type == 'None') != has(self.host)",
            "host is required with type Ingress or HTTPRoute and refused with type None",
            lambda exposure: (exposure.type == ExposureType.NONE) != (exposure.host is not None),
        ),
    )

    type: ExposureType = ExposureType.NONE
    """How the service is reached from outside the cluster."""
    host: HostName | None = None
    """Host name of the route."""


class Service(ApiModel):
    """The upload service as a workload."""

    state: ServiceState = ServiceState.ENABLED
    """Disabled: provision the bucket only."""
    replicas: Replicas = Replicas()
    """How many replicas run, as load demands."""
    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    """Container image instead of the one released with the operator."""
    # https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/
    image_pull_secrets: Annotated[
        tuple[PullSecretReference, ...], Field(max_length=8), ListType("map", keys=("name",))
    ] = ()
    """Secrets with which the image is fetched; empty: those whose names the operator was given, if any."""
    resources: Resources = Resources()
    """Processor time and memory of each replica."""
    database: SecretSource = SecretSource()
    """PostgreSQL."""
    messages: SecretSource = SecretSource()
    """MongoDB for messages; unset: they live in PostgreSQL."""
    auth: Auth = Auth()
    """Whose tokens are accepted."""
    events: Events = Events()
    """Notifications of the store, so that an upload is confirmed without the client."""
    exposure: Exposure = Exposure()
    """Whether and how the service is reached from outside the cluster."""
