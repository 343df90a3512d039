"""For every constraint in a CRD's schema one object that breaks it, and where there is a bound, one that just keeps it.

The schema is walked, so that a new field or bound has its cases at once; what cannot be made up is in tables, and a
missing entry is an error.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
Path = tuple[str, ...]
# A step into the only item of a list, and into the only entry of a map.
ITEM, ENTRY = "[]", "{}"

# One object of each kind with every field set; alternatives are in the second, where two fields exclude each other.
FULL: dict[str, list[dict[str, Any]]] = {
    "MediaBucket": [
        {
            "storeRef": {"name": "main"},
            "bucketName": "media-bucket",
            "managementPolicy": "Manage",
            "adoptionPolicy": "IfTaggedOurs",
            "deletionPolicy": "Retain",
            "driftPolicy": "Correct",
            "resyncIntervalSeconds": 300,
            "uploads": {
                "maxBytes": 1000,
                "allowedMimeTypes": ["image/png"],
                "urlTTLSeconds": 300,
                "staleAfterSeconds": 3600,
                "integrity": "Verified",
                "multipart": {"minBytes": 8_000_000, "partBytes": 8_000_000},
                "limits": {"pendingPerUser": 10, "bytesPerUser": 10_000, "requestsPerMinute": 600},
                "webhooks": [
                    {
                        "name": "chat",
                        "url": "https://chat.example.com/media",
                        "secretRef": {"name": "webhook", "key": "secret"},
                        "events": ["media.completed"],
                    }
                ],
            },
            "publicAccess": "Blocked",
            "cdn": {"baseUrl": "https://cdn.example.com"},
            "requireTLS": "Enforced",
            "cors": {"allowedOrigins": ["https://app.example.com"], "maxAgeSeconds": 60},
            "lifecycle": {"expirePendingDays": 1, "abortIncompleteMultipartDays": 1, "expireNoncurrentDays": 30},
            "encryption": {"type": "SSEKMS", "kmsKeyId": "key"},
            "versioning": "Enabled",
            "tags": [{"key": "team", "value": "a"}],
            "credentials": {"rotation": {"intervalDays": 90, "overlapHours": 24}},
            "service": {
                "state": "Enabled",
                "replicas": {"min": 2, "max": 6},
                "image": "service:1",
                "imagePullSecrets": [{"name": "registry"}],
                "resources": {
                    "requests": {"cpu": "50m", "memory": "128Mi"},
                    "limits": {"cpu": "1", "memory": "512Mi"},
                },
                "database": {"secretRef": {"name": "database", "key": "url"}},
                "messages": {"secretRef": {"name": "messages", "key": "url"}},
                "auth": {
                    "jwksUrl": "https://issuer.example.com/jwks",
                    "issuer": "issuer",
                    "audience": "media",
                    "adminScope": "media:erase",
                },
                "events": {"secretRef": {"name": "events", "key": "secret"}},
                "exposure": {"type": "Ingress", "host": "media.example.com"},
            },
        },
        {
            "storeRef": {"name": "main"},
            "bucketName": "media-bucket",
            "service": {"auth": {"secretRef": {"name": "auth", "key": "secret"}}},
        },
    ],
    "ObjectStore": [
        {
            "endpoint": "https://s3.example.com",
            "publicEndpoint": "https://media.example.com",
            "region": "us-east-1",
            "addressingStyle": "Virtual",
            "provider": "Generic",
            "credentialsSecretRef": {"namespace": "stores", "name": "keys"},
            "iam": {"mode": "Scoped", "endpoint": "https://iam.example.com"},
            "caBundle": "-----BEGIN CERTIFICATE-----",
            "allowedNamespaces": {"matchNames": ["chat"], "matchLabels": {"media": "yes"}},
            "limits": {"allowDestroy": "Allowed", "allowAdoption": "Allowed", "maxUploadBytes": 1000},
        }
    ],
}

# A text that the pattern of a field refuses, by the field's name; each is as long as it may be.
REFUSED_BY_PATTERN = {
    "name": "Not_A_Name",
    "namespace": "not.a.label",
    "bucketName": "Bad_Bucket.Name",
    "allowedMimeTypes": "image/*",
    "allowedOrigins": "https://app.example.com/path",
    "baseUrl": "ftp://cdn.example.com",
    "jwksUrl": "issuer.example.com/jwks",
    "endpoint": "s3.example.com",
    "publicEndpoint": "ftp://s3.example.com",
    "host": "https://media.example.com",
    "key": "tab\there",
    "value": "tab\there",
    "cpu": "half",
    "memory": "512 MB",
    "region": "US East",
    "caBundle": "/etc/ssl/ca.pem",
    "matchNames": "Chat",
    "url": "ftp://chat.example.com",
}
# Texts that a field accepts, one for each number: to make lists that are too long.
NUMBERED = {
    "allowedMimeTypes": "image/x{}",
    "allowedOrigins": "https://a{}.example.com",
    "matchNames": "chat-{}",
    "tags": "team{}",
    "webhooks": "hook-{}",
    "imagePullSecrets": "registry-{}",
}
# Bounds that another rule of the object forbids to reach in the full object: what has to be different with them.
WITH_BOUND: dict[tuple[str, str, Any], dict[str, Any]] = {
    ("uploads.urlTTLSeconds", "maximum", 604_800): {"uploads": {"staleAfterSeconds": 604_800}},
    ("uploads.staleAfterSeconds", "minimum", 1): {"uploads": {"urlTTLSeconds": 1}},
    ("credentials.rotation.intervalDays", "minimum", 1): {"credentials": {"rotation": {"overlapHours": 1}}},
    ("service.replicas.min", "maximum", 100): {"service": {"replicas": {"max": 100}}},
    ("service.replicas.max", "minimum", 1): {"service": {"replicas": {"min": 1}}},
}
# Values of an enum that need another field, or lack of one, beside them.
WITH_VALUE: dict[tuple[str, str], dict[str, Any]] = {
    ("encryption.type", "None"): {"encryption": {"kmsKeyId": None}},
    ("encryption.type", "SSES3"): {"encryption": {"kmsKeyId": None}},
    ("service.exposure.type", "None"): {"service": {"exposure": {"host": None}}},
    ("versioning", "Disabled"): {"lifecycle": {"expireNoncurrentDays": None}},
    ("addressingStyle", "Path"): {},
}


@dataclass(frozen=True)
class Case:
    """A spec, and what the API server says of it: a part of its message, or None when it accepts it."""

    kind: str
    title: str
    spec: dict[str, Any]
    refusal: str | None


def cases(kind: str, schema: Schema) -> Iterator[Case]:
    """All cases of a kind, from the schema of its spec. Raises LookupError where a table lacks an entry."""
    for full in FULL[kind]:
        yield Case(kind, "everything", full, None)
    for path, part in _walk(schema, ()):
        yield from _cases_of(kind, path, part)


def rules(schema: Schema) -> Iterator[str]:
    """The messages of all CEL rules."""
    for part in _parts(schema):
        yield from (rule["message"] for rule in part.get("x-kubernetes-validations", []))


def _parts(schema: Schema) -> Iterator[Schema]:
    yield schema
    for inner in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from _parts(inner)


def _walk(schema: Schema, path: Path) -> Iterator[tuple[Path, Schema]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _walk(inner, (*path, name))
    for step, inner in ((ITEM, schema.get("items")), (ENTRY, schema.get("additionalProperties"))):
        if isinstance(inner, dict):
            yield from _walk(inner, (*path, step))


def _cases_of(kind: str, path: Path, schema: Schema) -> Iterator[Case]:
    makers = (_numbers, _lengths, _patterns, _enums, _lists, _maps, _required, _types, _unknown)
    for maker in makers:
        for title, value, refusal, beside in maker(path, schema, _value(kind, path)):
            spec = _placed(kind, path, value)
            yield Case(kind, f"{_dotted(path) or 'spec'}: {title}", _merged(spec, beside), refusal)


Made = tuple[str, Any, str | None, dict[str, Any]]


def _numbers(path: Path, schema: Schema, _good: Any) -> Iterator[Made]:
    for bound, step, words in (("minimum", -1, "greater than or equal to"), ("maximum", 1, "less than or equal to")):
        if bound in schema:
            limit = schema[bound]
            yield f"{bound} and one beyond", limit + step, words, {}
            yield f"{bound} itself", limit, None, WITH_BOUND.get((_dotted(path), bound, limit), {})


def _lengths(_path: Path, schema: Schema, good: Any) -> Iterator[Made]:
    if schema.get("minLength", 0) > 0:
        yield "too short", good[: schema["minLength"] - 1], "should be at least", {}
    if "maxLength" in schema:
        filler = good[-1] if good else "a"
        yield "too long", good + filler * (schema["maxLength"] + 1 - len(good)), "may not be more than", {}


def _patterns(path: Path, schema: Schema, _good: Any) -> Iterator[Made]:
    if "pattern" in schema:
        name = next(step for step in reversed(path) if step not in (ITEM, ENTRY))
        yield "other than the pattern", REFUSED_BY_PATTERN[name], "should match", {}


def _enums(path: Path, schema: Schema, _good: Any) -> Iterator[Made]:
    if "enum" in schema:
        yield "nonsense", "Nonsense", "Unsupported value", {}
        for value in schema["enum"]:
            yield f"the value {value}", value, None, WITH_VALUE.get((_dotted(path), value), {})


def _lists(path: Path, schema: Schema, good: Any) -> Iterator[Made]:
    if schema.get("type") != "array":
        return
    name = path[-1]
    if schema.get("minItems", 0) > 0:
        yield "too few items", good[: schema["minItems"] - 1], "should have at least", {}
    values = [NUMBERED[name].format(number) for number in range(schema["maxItems"] + 1)] if name in NUMBERED else []
    # More than an enum has values are too many, though one of them is there twice.
    values = values or [*schema["items"]["enum"], schema["items"]["enum"][0]]
    [map_key] = schema.get("x-kubernetes-list-map-keys", [None])
    many = [{**good[0], map_key: value} if map_key else value for value in values]
    yield "too many items", many, "must have at most", {}
    yield "as many items as may be", many[:-1], None, {}
    yield "an item twice", [good[0], good[0]], "Duplicate value", {}


def _maps(_path: Path, schema: Schema, _good: Any) -> Iterator[Made]:
    if "maxProperties" in schema:
        many = {f"label-{number}": "yes" for number in range(schema["maxProperties"] + 1)}
        yield "too many entries", many, "must have at most", {}
        yield "as many entries as may be", dict(list(many.items())[:-1]), None, {}


def _required(_path: Path, schema: Schema, good: Any) -> Iterator[Made]:
    for name in schema.get("required", []):
        yield f"without {name}", {key: value for key, value in good.items() if key != name}, "Required value", {}


def _types(_path: Path, schema: Schema, _good: Any) -> Iterator[Made]:
    wrong = {"integer": "5", "string": 5, "object": "text", "array": "text"}
    yield "of another type", wrong[schema["type"]], "must be of type", {}


def _unknown(_path: Path, schema: Schema, good: Any) -> Iterator[Made]:
    if "properties" in schema:
        yield "with an unknown field", {**good, "colour": "blue"}, "unknown field", {}


def _value(kind: str, path: Path) -> Any:
    return _find(_full_with(kind, path), path)


def _full_with(kind: str, path: Path) -> dict[str, Any]:
    for full in FULL[kind]:
        try:
            _find(full, path)
        except (KeyError, TypeError):
            continue
        return full
    raise LookupError(f"no full {kind} has a value for {_dotted(path)}")


def _find(value: Any, path: Path) -> Any:
    for step in path:
        value = value[0] if step == ITEM else next(iter(value.values())) if step == ENTRY else value[step]
    return value


def _placed(kind: str, path: Path, value: Any) -> dict[str, Any]:
    """The full object with another value at this place."""
    spec = copy.deepcopy(_full_with(kind, path))
    if not path:
        whole: dict[str, Any] = value
        return whole
    holder = _find(spec, path[:-1])
    last = path[-1]
    holder[0 if last == ITEM else next(iter(holder)) if last == ENTRY else last] = value
    return spec


def _merged(spec: dict[str, Any], beside: dict[str, Any]) -> dict[str, Any]:
    for name, value in beside.items():
        if isinstance(value, dict):
            _merged(spec[name], value)
        elif value is None:
            spec.pop(name, None)
        else:
            spec[name] = value
    return spec


def _dotted(path: Path) -> str:
    return ".".join(path).replace(f".{ITEM}", ITEM).replace(f".{ENTRY}", ENTRY)
