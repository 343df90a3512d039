"""What a person is told about a document that is wrong by itself: one case each, with the field and the sentence."""

import pytest
from manifests import media_bucket, object_store, problems_of, secret

# Name of the case, the text, the field, and the sentence.
BAD: list[tuple[str, str, str, str]] = [
    # the envelope
    ("no apiVersion", media_bucket().split("\n", 1)[1], "apiVersion", "is missing: expected mediabucket.dev/v1alpha1"),
    (
        "wrong apiVersion",
        media_bucket().replace("v1alpha1", "v1"),
        "apiVersion",
        'is "mediabucket.dev/v1": expected mediabucket.dev/v1alpha1',
    ),
    ("no kind", "apiVersion: v1\n", "kind", "is missing: expected MediaBucket, ObjectStore or Secret"),
    (
        "misspelt kind",
        "apiVersion: mediabucket.dev/v1alpha1\nkind: Mediabucket\n",
        "kind",
        'is "Mediabucket": expected MediaBucket, ObjectStore or Secret; did you mean MediaBucket?',
    ),
    ("foreign kind", "apiVersion: v1\nkind: ConfigMap\n", "kind", 'is "ConfigMap": expected MediaBucket'),
    ("kind is a list", "apiVersion: v1\nkind: [Secret]\n", "kind", "is a list of 1: expected MediaBucket"),
    (
        "no metadata",
        "apiVersion: mediabucket.dev/v1alpha1\nkind: MediaBucket\nspec: {storeRef: {name: a}}\n",
        "metadata",
        "is missing: expected a mapping with name",
    ),
    (
        "no name",
        "apiVersion: mediabucket.dev/v1alpha1\nkind: MediaBucket\nmetadata: {}\nspec: {storeRef: {name: a}}\n",
        "metadata.name",
        "is missing: expected a Kubernetes name",
    ),
    (
        "capital in name",
        media_bucket(name="Chat"),
        "metadata.name",
        'is "Chat": expected a Kubernetes name: lower-case',
    ),
    ("number as name", media_bucket(name="12"), "metadata.name", "is 12: expected a Kubernetes name"),
    ("bad namespace", media_bucket(namespace="a.b"), "metadata.namespace", 'is "a.b": expected a namespace'),
    (
        "annotation not quoted",
        media_bucket().replace("name: chat", "name: chat, annotations: {mediabucket.dev/recreate: true}"),
        "metadata.annotations.mediabucket.dev/recreate",
        "is true: expected text; put it in quotes",
    ),
    ("no spec", media_bucket().split("spec:")[0], "spec", "is missing: expected a mapping with storeRef"),
    ("spec is text", media_bucket().split("spec:")[0] + "spec: later", "spec", 'is "later": expected a mapping with'),
    ("misspelt root field", media_bucket() + "specs: {}\n", "specs", "is not a field: did you mean spec?"),
    (
        "generation in words",
        media_bucket().replace("name: chat", "name: chat, generation: one"),
        "metadata.generation",
        'is "one": expected a whole number',
    ),
    # the names of buckets
    ("bucket with a dot", media_bucket("bucketName: a.b"), "spec.bucketName", 'is "a.b": expected 3 to 63 lower-case'),
    ("bucket too short", media_bucket("bucketName: ab"), "spec.bucketName", "expected 3 to 63 lower-case letters"),
    (
        "bucket too long",
        media_bucket(f"bucketName: {'a' * 64}"),
        "spec.bucketName",
        "(64 characters): expected 3 to 63",
    ),
    ("name with a dot", media_bucket(name="a.b"), "", "a name with a dot, or longer than 61 characters"),
    ("name of 62", media_bucket(name="a" * 62), "", "cannot be part of a bucket name: set spec.bucketName"),
    (
        "namespace and name too long together",
        media_bucket(name="a" * 40, namespace="b" * 40),
        "metadata.name",
        "(81 characters): expected 3 to 63 lower-case letters, digits and dashes, "
        "with a letter or digit at both ends (no dots); set spec.bucketName",
    ),
    # fields of a MediaBucket
    (
        "no store",
        media_bucket().replace("storeRef: {name: embedded}", "{}").replace("  {}", "  tags: []"),
        "spec.storeRef",
        "is missing: expected a mapping with name",
    ),
    ("snake case", media_bucket("bucket_name: abc"), "spec.bucket_name", "is not a field: did you mean bucketName?"),
    (
        "wrong capital",
        media_bucket("uploads: {urlTtlSeconds: 5}"),
        "spec.uploads.urlTtlSeconds",
        "did you mean urlTTLSeconds?",
    ),
    (
        "invented field",
        media_bucket("cors: {colour: red}"),
        "spec.cors.colour",
        "is not a field: expected allowedOrigins or maxAgeSeconds",
    ),
    (
        "merge key",
        media_bucket("<<: {bucketName: abc}"),
        "spec",
        "has a merge key (<<) at line 6: write the fields out",
    ),
    (
        "zero bytes",
        media_bucket("uploads: {maxBytes: 0}"),
        "spec.uploads.maxBytes",
        "is 0: expected a whole number from 1 to 5497558138880",
    ),
    (
        "more than an object holds",
        media_bucket("uploads: {maxBytes: 5497558138881}"),
        "spec.uploads.maxBytes",
        "is 5497558138881: expected a whole number from 1",
    ),
    ("number in quotes", media_bucket('uploads: {maxBytes: "5"}'), "spec.uploads.maxBytes", "; remove the quotes"),
    (
        "number with unit",
        media_bucket("uploads: {maxBytes: 5Mi}"),
        "spec.uploads.maxBytes",
        'is "5Mi": expected a whole number',
    ),
    (
        "broken number",
        media_bucket("uploads: {maxBytes: 1.5}"),
        "spec.uploads.maxBytes",
        "is 1.5: expected a whole number",
    ),
    ("infinite number", media_bucket("uploads: {maxBytes: .inf}"), "spec.uploads.maxBytes", "expected a whole number"),
    (
        "endless number",
        media_bucket(f"uploads: {{maxBytes: {'9' * 5000}}}"),
        "spec.uploads.maxBytes",
        "cannot be read as a number",
    ),
    (
        "truth as number",
        media_bucket("uploads: {maxBytes: true}"),
        "spec.uploads.maxBytes",
        "is true: expected a whole number",
    ),
    ("text for a part", media_bucket("uploads: none"), "spec.uploads", 'is "none": expected a mapping with maxBytes'),
    (
        "URL for ever",
        media_bucket("uploads: {urlTTLSeconds: 604801, staleAfterSeconds: 604800}"),
        "spec.uploads.urlTTLSeconds",
        "expected a whole number from 1 to 604800",
    ),
    (
        "URL outlives upload",
        media_bucket("uploads: {urlTTLSeconds: 7200}"),
        "spec.uploads",
        "an upload cannot expire before its URL does",
    ),
    (
        "type wildcard",
        media_bucket("uploads: {allowedMimeTypes: [image/*]}"),
        "spec.uploads.allowedMimeTypes[0]",
        'is "image/*": expected one lower-case media type such as image/png',
    ),
    (
        "no types",
        media_bucket("uploads: {allowedMimeTypes: []}"),
        "spec.uploads.allowedMimeTypes",
        "is an empty list: expected a list of 1 to 64 items",
    ),
    (
        "one type, no list",
        media_bucket("uploads: {allowedMimeTypes: image/png}"),
        "spec.uploads.allowedMimeTypes",
        'is "image/png": expected a list of 1 to 64 items',
    ),
    (
        "null type",
        media_bucket("uploads: {allowedMimeTypes: [~]}"),
        "spec.uploads.allowedMimeTypes[0]",
        "is null: expected one lower-case media type",
    ),
    (
        "type twice",
        media_bucket("uploads: {allowedMimeTypes: [a/b, c/d, a/b]}"),
        "spec.uploads.allowedMimeTypes",
        "lists a/b more than once: keep one",
    ),
    (
        "small parts",
        media_bucket("uploads: {multipart: {partBytes: 1024}}"),
        "spec.uploads.multipart.partBytes",
        "is 1024: expected a whole number from 5242880",
    ),
    (
        "policy in lower case",
        media_bucket("deletionPolicy: retain"),
        "spec.deletionPolicy",
        'is "retain": expected Retain, DeleteIfEmpty or Destroy; did you mean Retain?',
    ),
    (
        "policy from elsewhere",
        media_bucket("deletionPolicy: Orphan"),
        "spec.deletionPolicy",
        'is "Orphan": expected Retain, DeleteIfEmpty or Destroy',
    ),
    (
        "switch by on",
        media_bucket("versioning: on"),
        "spec.versioning",
        "is true: expected Disabled, Enabled or Suspended; YAML reads on, off, yes and no as true and false",
    ),
    (
        "origin with path",
        media_bucket("cors: {allowedOrigins: ['https://a.example/']}"),
        "spec.cors.allowedOrigins[0]",
        "expected a web origin such as https://app.example.com",
    ),
    (
        "origin without scheme",
        media_bucket("cors: {allowedOrigins: [localhost]}"),
        "spec.cors.allowedOrigins[0]",
        'is "localhost": expected a web origin',
    ),
    (
        "expiry without versioning",
        media_bucket("lifecycle: {expireNoncurrentDays: 3}"),
        "spec",
        "lifecycle.expireNoncurrentDays needs versioning Enabled or Suspended",
    ),
    (
        "KMS without key",
        media_bucket("encryption: {type: SSEKMS}"),
        "spec.encryption",
        "kmsKeyId is required with type SSEKMS",
    ),
    ("key without KMS", media_bucket("encryption: {kmsKeyId: a}"), "spec.encryption", "refused with any other type"),
    (
        "destroy what is adopted",
        media_bucket("deletionPolicy: Destroy\nadoptionPolicy: Adopt"),
        "spec",
        "adopted buckets are never destroyed",
    ),
    (
        "tag without value",
        media_bucket("tags: [{key: a}]"),
        "spec.tags[0].value",
        "is missing: expected letters, digits, spaces",
    ),
    (
        "tag in umlauts",
        media_bucket("tags: [{key: a, value: b}, {key: Größe, value: b}]"),
        "spec.tags[1].key",
        'is "Größe": expected letters',
    ),
    (
        "tags as mapping",
        media_bucket("tags: {a: b}"),
        "spec.tags",
        "is a mapping: expected a list of 0 to 40 items, each a mapping with key and value",
    ),
    (
        "tag key twice",
        media_bucket("tags: [{key: a, value: b}, {key: a, value: c}]"),
        "spec.tags",
        "lists a more than once: keep one",
    ),
    (
        "date as text",
        media_bucket("tags: [{key: since, value: 2026-01-01T00:00:00+01:00}, {key: 2026, value: a}]"),
        "spec.tags[1].key",
        "is 2026: expected letters",
    ),
    (
        "fewer than least",
        media_bucket("service: {replicas: {min: 7}}"),
        "spec.service.replicas",
        "replicas.min must not exceed replicas.max",
    ),
    (
        "cpu as number",
        media_bucket("service: {resources: {requests: {cpu: 2}}}"),
        "spec.service.resources.requests.cpu",
        'is 2: expected a quantity in quotes such as "500m"',
    ),
    (
        "two ways of auth",
        media_bucket("service: {auth: {jwksUrl: 'https://a.example', secretRef: {name: b}}}"),
        "spec.service.auth",
        "jwksUrl and secretRef exclude each other",
    ),
    (
        "route without host",
        media_bucket("service: {exposure: {type: Ingress}}"),
        "spec.service.exposure",
        "host is required with type Ingress or HTTPRoute",
    ),
    (
        "host with scheme",
        media_bucket("service: {exposure: {type: Ingress, host: 'https://a.example'}}"),
        "spec.service.exposure.host",
        "expected a host name such as media.example.com",
    ),
    (
        "overlap too long",
        media_bucket("credentials: {rotation: {intervalDays: 1}}"),
        "spec.credentials.rotation",
        "overlapHours must be shorter than intervalDays",
    ),
    # an ObjectStore
    (
        "endpoint without scheme",
        object_store().replace("https://", ""),
        "spec.endpoint",
        "expected a URL that starts with http:// or https://",
    ),
    (
        "no endpoint",
        object_store().replace("endpoint:", "publicEndpoint:"),
        "spec.endpoint",
        "is missing: expected a URL",
    ),
    (
        "path instead of PEM",
        object_store("caBundle: /etc/ca.pem"),
        "spec.caBundle",
        "expected certificates in PEM form",
    ),
    ("capital in region", object_store("region: EU"), "spec.region", 'is "EU": expected a region such as us-east-1'),
    (
        "path style on OSS",
        object_store("provider: AliyunOSS"),
        "spec",
        "provider AliyunOSS needs addressingStyle Virtual",
    ),
    (
        "unknown provider",
        object_store("provider: Amazon"),
        "spec.provider",
        'is "Amazon": expected AWS, SeaweedFS, MinIO',
    ),
    (
        "no credentials to share",
        object_store().split("  cred")[0] + "  iam: {mode: Shared}\n",
        "spec",
        "without credentialsSecretRef iam.mode must be Scoped",
    ),
    (
        "label value too long",
        object_store(f"allowedNamespaces: {{matchLabels: {{team: {'a' * 64}}}}}"),
        "spec.allowedNamespaces.matchLabels.team",
        "(64 characters): expected text of at most 63 characters",
    ),
    # a Secret
    (
        "data not base64",
        secret("data: {AWS_ACCESS_KEY_ID: '***'}"),
        "data.AWS_ACCESS_KEY_ID",
        "is not base64: encode it, or write the plain text under stringData",
    ),
    (
        "data not text",
        secret("data: {AWS_ACCESS_KEY_ID: /w==}"),
        "data.AWS_ACCESS_KEY_ID",
        "is base64 of bytes that are not UTF-8 text",
    ),
    (
        "number as secret",
        secret("stringData: {AWS_ACCESS_KEY_ID: 123456}"),
        "stringData.AWS_ACCESS_KEY_ID",
        "is wrong: expected text; put it in quotes",
    ),
    ("misspelt stringData", secret("stringdata: {a: b}"), "stringdata", "is not a field: did you mean stringData?"),
]


@pytest.mark.parametrize(("text", "field", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_document_is_refused_with_one_sentence(text: str, field: str, words: str) -> None:
    (problem,) = problems_of(text)
    assert problem.field == field
    assert words in problem.message
    assert str(problem).startswith("chat.yaml:")
