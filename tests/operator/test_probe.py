"""The probe on a store that enforces what it is told, and on one that enforces nothing."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.connection import StoreConnection
from mediabucket_api.status import Capability, CapabilityVerdict
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_operator.credentials import BucketIdentity
from mediabucket_operator.probe import bucket_name_for, consequences, probe_store, runner
from mediabucket_operator.probe.laboratory import Laboratory
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import AccessDenied, BucketTaken, StoreUnavailable, Throttled
from mediabucket_s3.identities import IdentityAdmin
from mediabucket_s3.presign import PresignedRequest
from mediabucket_s3.raw_requests import RawResponse, RawSender

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ENFORCED = dict.fromkeys(CapabilityName, "Enforced")
# What SeaweedFS lacks.
SEAWEEDFS = ENFORCED | {
    CapabilityName.CHECKSUM_ON_COPY: "Unsupported",
    CapabilityName.PUBLIC_ACCESS_BLOCK: "Unsupported",
}
# What moto accepts and does nothing about; it computes checksums of copies, and tells none of uploads.
MOTO = ENFORCED | dict.fromkeys(
    (
        CapabilityName.SIGNATURE_VERIFIED,
        CapabilityName.URL_EXPIRY,
        CapabilityName.SIGNED_CONTENT_TYPE,
        CapabilityName.SIGNED_CONTENT_LENGTH,
        CapabilityName.SIGNED_CHECKSUM,
        CapabilityName.COPY_SOURCE_IF_MATCH,
        CapabilityName.UPLOAD_PART_COPY,
        CapabilityName.IAM,
    ),
    "Ignored",
)
MOTO[CapabilityName.CHECKSUM_ON_HEAD] = "Unsupported"


@pytest.fixture(scope="module")
def moto() -> Iterator[StoreConnection]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    yield StoreConnection(
        endpoint=endpoint, public_endpoint=endpoint, access_key_id="anybody", secret_access_key=SecretStr("nothing")
    )
    server.stop()


@pytest.fixture
def bucket(bucket_name: str) -> str:
    return bucket_name_for(bucket_name)


def probed(connection: StoreConnection, bucket: str) -> tuple[Capability, ...]:
    return probe_store(connection, bucket=bucket, iam_endpoint=None, now=NOW)


def verdicts(capabilities: tuple[Capability, ...]) -> dict[str, str]:
    return {capability.name: capability.verdict.value for capability in capabilities}


def require_nothing_left(connection: StoreConnection, bucket: str) -> None:
    assert not BucketAdmin.connect(connection, bucket).exists()
    assert not IdentityAdmin.connect(connection).user_exists(bucket)


def test_a_store_that_enforces_what_it_is_told(seaweedfs: SeaweedFS, bucket: str) -> None:
    found = probed(seaweedfs.connection, bucket)
    assert verdicts(found) == {name.value: verdict for name, verdict in SEAWEEDFS.items()}
    assert {capability.probed_at for capability in found} == {NOW}
    require_nothing_left(seaweedfs.connection, bucket)


def test_a_store_that_enforces_nothing(moto: StoreConnection, bucket: str) -> None:
    assert verdicts(probed(moto, bucket)) == {name.value: verdict for name, verdict in MOTO.items()}
    require_nothing_left(moto, bucket)


def test_evidence_says_what_the_store_answered_and_no_secret(seaweedfs: SeaweedFS, bucket: str) -> None:
    told = {capability.name: capability.evidence for capability in probed(seaweedfs.connection, bucket)}
    assert told["SignedChecksum"] == "PUT as signed: 200; other bytes: 400 BadDigest"
    assert told["UploadPartCopy"] == "copy of a part as signed: 200; of another state: 412 PreconditionFailed"
    assert told["CopySourceIfMatch"] == "copy as signed: 200; of another state: 412 PreconditionFailed"
    assert told["IfNoneMatch"] == "PUT as signed: 200; a second PUT: 412 PreconditionFailed"
    everything = " ".join(filter(None, told.values()))
    assert seaweedfs.connection.secret_access_key.get_secret_value() not in everything
    assert "X-Amz" not in everything


def test_what_a_crashed_probe_left_is_taken_over(seaweedfs: SeaweedFS, bucket: str) -> None:
    left = Laboratory(seaweedfs.connection, bucket, None)
    left.open()
    left.upload("left", b"1")
    left.admin.put_versioning("Enabled")
    left.upload("left", b"22")
    left.call("POST", "parts", query={"uploads": ""})
    identity = BucketIdentity(left.identities, bucket, bucket)
    identity.prepare(None)
    left.identities.create_access_key(bucket)
    assert len(probed(seaweedfs.connection, bucket)) == len(CapabilityName)
    require_nothing_left(seaweedfs.connection, bucket)


def test_somebody_elses_bucket_of_that_name_is_left_alone(seaweedfs: SeaweedFS, bucket: str) -> None:
    admin = BucketAdmin.connect(seaweedfs.connection, bucket)
    admin.create("us-east-1", {})
    admin.write_object("theirs", b"1", "text/plain")
    with pytest.raises(BucketTaken, match="objects that no probe wrote, such as theirs"):
        probed(seaweedfs.connection, bucket)
    assert admin.read_object("theirs") == b"1"


@pytest.mark.parametrize("name", [CapabilityName.SIGNED_CHECKSUM, CapabilityName.IAM, CapabilityName.VERSIONING])
@pytest.mark.parametrize("error", [StoreUnavailable("PutObject", "ServiceUnavailable", 503), KeyboardInterrupt()])
def test_an_outage_is_no_verdict_and_leaves_nothing(
    seaweedfs: SeaweedFS, bucket: str, monkeypatch: pytest.MonkeyPatch, name: CapabilityName, error: BaseException
) -> None:
    trial = runner.TRIALS[name]

    def fail(laboratory: Laboratory) -> Any:
        trial(laboratory)
        raise error

    monkeypatch.setitem(runner.TRIALS, name, fail)
    with pytest.raises(type(error)):
        probed(seaweedfs.connection, bucket)
    require_nothing_left(seaweedfs.connection, bucket)


def test_one_trial_that_is_refused_does_not_end_the_others(
    seaweedfs: SeaweedFS, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_laboratory: Laboratory) -> Any:
        raise AccessDenied("PutBucketCors", "AccessDenied", 403)

    monkeypatch.setitem(runner.TRIALS, CapabilityName.CORS_PREFLIGHT, fail)
    found = verdicts(probed(seaweedfs.connection, bucket))
    assert found == {name.value: verdict for name, verdict in SEAWEEDFS.items()} | {"CorsPreflight": "Unsupported"}


def answering(monkeypatch: pytest.MonkeyPatch, header: str, status: int) -> None:
    """All requests with this header are answered so, whatever the store would say."""
    original = RawSender.__call__

    def answer(self: RawSender, request: PresignedRequest, *others: Any, **options: Any) -> RawResponse:
        if header in request.headers:
            return RawResponse(status, {}, b"<Error><Code>Whatever</Code></Error>")
        return original(self, request, *others, **options)

    monkeypatch.setattr(RawSender, "__call__", answer)


@pytest.mark.parametrize("status", [400, 403, 500])
def test_only_a_failed_precondition_proves_that_copies_are_pinned(
    seaweedfs: SeaweedFS, bucket: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    answering(monkeypatch, "x-amz-copy-source-if-match", status)
    found = verdicts(probed(seaweedfs.connection, bucket))
    assert (found["CopySourceIfMatch"], found["UploadPartCopy"]) == ("Ignored", "Ignored")


@pytest.mark.parametrize(("status", "error"), [(429, Throttled), (503, StoreUnavailable)])
@pytest.mark.parametrize("header", ["x-amz-copy-source-if-match", "x-amz-copy-source", "if-none-match"])
def test_an_answer_of_a_busy_store_is_no_verdict(
    seaweedfs: SeaweedFS,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    header: str,
    status: int,
    error: type[Exception],
) -> None:
    with monkeypatch.context() as busy:
        answering(busy, header, status)
        with pytest.raises(error):
            probed(seaweedfs.connection, bucket)
    require_nothing_left(seaweedfs.connection, bucket)


def test_a_part_is_copied_whole(seaweedfs: SeaweedFS, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS takes no range of a source that is as small as the probe's."""
    answering(monkeypatch, "x-amz-copy-source-range", 400)
    assert verdicts(probed(seaweedfs.connection, bucket))["UploadPartCopy"] == "Enforced"


def test_a_store_that_copies_no_parts(seaweedfs: SeaweedFS, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = RawSender.__call__

    def answer(self: RawSender, request: PresignedRequest, *others: Any, **options: Any) -> RawResponse:
        if "x-amz-copy-source" in request.headers and "partNumber" in request.url:
            return RawResponse(501, {}, b"<Error><Code>NotImplemented</Code></Error>")
        return original(self, request, *others, **options)

    monkeypatch.setattr(RawSender, "__call__", answer)
    found = probed(seaweedfs.connection, bucket)
    assert verdicts(found)["UploadPartCopy"] == "Unsupported"
    assert "UploadPartCopy: files above 5 GiB cannot be published, and are refused" in consequences(found)


def test_a_store_that_is_down_is_not_probed(seaweedfs: SeaweedFS, bucket: str) -> None:
    nowhere = seaweedfs.connection.model_copy(update={"endpoint": "http://127.0.0.1:9"})
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        probed(nowhere, bucket)
    assert time.monotonic() - started < 20


def test_consequences_are_told_for_what_lacks(seaweedfs: SeaweedFS, moto: StoreConnection, bucket: str) -> None:
    here, there = consequences(probed(seaweedfs.connection, bucket)), consequences(probed(moto, bucket))
    assert [sentence.partition(":")[0] for sentence in here[:-1]] == ["PublicAccessBlock"]
    assert here[-1].startswith("Confirm reads objects once to hash them")
    assert "do not use it" in there[0]
    assert "Iam: each application's key reaches every bucket; CredentialsReady is False until" in there[-2]
    assert there[-1].startswith("Confirm reads no bytes")


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (CapabilityVerdict.UNSUPPORTED, "Iam: applications use the store's own key, which reaches every bucket"),
        (CapabilityVerdict.IGNORED, "Iam: each application's key reaches every bucket; CredentialsReady is False"),
        (CapabilityVerdict.ENFORCED, "Confirm"),
    ],
)
def test_no_iam_and_one_that_is_not_acted_on_are_told_apart(verdict: CapabilityVerdict, told: str) -> None:
    others = [name for name in CapabilityName if name != CapabilityName.IAM]
    enforced = [Capability(name=name, verdict=CapabilityVerdict.ENFORCED, probed_at=NOW) for name in others]
    iam = Capability(name=CapabilityName.IAM, verdict=verdict, probed_at=NOW)
    assert consequences([*enforced, iam])[0].startswith(told)
