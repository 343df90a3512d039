"""What a probe finds decides what is promised and who does what: on a real API server, with two stores."""

from collections.abc import Iterator

import pytest
from kube_platform import Platform
from moto.server import ThreadedMotoServer
from operator_process import condition, eventually, media_bucket, store_documents

from mediabucket_api.connection import StoreConnection


@pytest.fixture(scope="module")
def moto(platform: Platform) -> Iterator[StoreConnection]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    yield platform.store.connection.model_copy(update={"endpoint": endpoint, "public_endpoint": endpoint})
    server.stop()


def verdicts(platform: Platform, store: str) -> dict[str, str]:
    status = platform.kube.get("ostore", store).get("status", {})
    return {capability["name"]: capability["verdict"] for capability in status.get("capabilities", [])}


def test_two_stores_two_tables(platform: Platform, moto: StoreConnection) -> None:
    platform.kube.apply(*store_documents("moto", moto))
    platform.kube.kubectl("wait", "--for=condition=Ready", "ostore/moto", "ostore/store", "--timeout=30s")
    here, there = verdicts(platform, "store"), verdicts(platform, "moto")
    assert len(here) == len(there) == 21
    assert {name for name in here if here[name] != there[name]} == {
        "SignatureVerified",
        "UrlExpiry",
        "SignedContentType",
        "SignedContentLength",
        "SignedChecksum",
        "ChecksumOnHead",
        "ChecksumOnCopy",
        "CopySourceIfMatch",
        "UploadPartCopy",
        "PublicAccessBlock",
        "Iam",
    }


def test_signed_is_promised_only_where_it_is_enforced(platform: Platform, moto: StoreConnection, team: str) -> None:
    platform.kube.apply(*store_documents("moto", moto))
    platform.kube.kubectl("wait", "--for=condition=Ready", "ostore/moto", "--timeout=30s")
    for name, store in (("kept", "store"), ("broken", "moto")):
        platform.kube.apply(media_bucket(name, team, store, uploads={"integrity": "Signed"}))
    platform.wait("kept", team)
    told = eventually(lambda: condition(platform.get("broken", team), "UploadPathVerified"))
    assert (told["status"], told["reason"]) == ("False", "IntegrityNotEnforced")
    assert "the store does not enforce SignedChecksum: use Verified" in told["message"]
    platform.kube.apply(media_bucket("broken", team, "moto"))
    eventually(lambda: condition(platform.get("broken", team), "UploadPathVerified")["status"] == "True")


def test_a_key_that_reaches_every_bucket_is_not_called_scoped(
    platform: Platform, moto: StoreConnection, team: str
) -> None:
    name = f"open-{team}"
    platform.kube.apply(*store_documents(name, moto))
    platform.kube.kubectl("wait", "--for=condition=Ready", f"ostore/{name}", "--timeout=30s")
    assert verdicts(platform, name)["Iam"] == "Ignored"
    platform.kube.apply(media_bucket("media", team, name))
    told = eventually(lambda: condition(platform.get("media", team), "CredentialsReady"))
    assert (told["status"], told["reason"]) == ("False", "ScopeNotEnforced")
    assert f"set iam.mode: Shared of ObjectStore {name} to accept that" in told["message"]
    assert condition(platform.get("media", team), "Ready")["reason"] == "ScopeNotEnforced"
    # Applications are not cut off by what is told: they have a key of their own, and uploads work.
    assert platform.kube.get("secret", "media-media", team)["data"]["AWS_ACCESS_KEY_ID"]
    assert condition(platform.get("media", team), "UploadPathVerified")["status"] == "True"
    platform.kube.apply(*store_documents(name, moto, iam={"mode": "Shared"}))
    platform.wait("media", team)
    assert condition(platform.get("media", team), "CredentialsReady")["reason"] == "Shared"


def test_a_probe_on_request(platform: Platform, team: str) -> None:
    name = f"asked-{team}"
    platform.kube.apply(*store_documents(name, platform.store.connection))
    platform.kube.kubectl("wait", "--for=condition=Ready", f"ostore/{name}", "--timeout=30s")

    def probed_at() -> str:
        return str(platform.kube.get("ostore", name)["status"]["capabilities"][0]["probedAt"])

    before = probed_at()
    platform.kube.apply(media_bucket("media", team, name))
    platform.wait("media", team)
    eventually(lambda: probed_at() == before, seconds=2)
    platform.kube.kubectl("annotate", "ostore", name, "mediabucket.dev/probe=now")
    eventually(lambda: probed_at() != before, seconds=15)
    eventually(
        lambda: "mediabucket.dev/probe" not in platform.kube.get("ostore", name)["metadata"].get("annotations", {})
    )
    # And at its next visit the path of an upload is walked again.
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "example.com/look=1")
    eventually(
        lambda: (
            probed_at().removesuffix("Z")
            in condition(platform.get("media", team), "UploadPathVerified")["message"].replace("+00:00", "")
        )
    )


def test_capabilities_reach_the_service(platform: Platform, team: str) -> None:
    platform.kube.kubectl("wait", "--for=condition=Ready", "ostore/store", "--timeout=30s")
    platform.kube.apply(media_bucket("media", team, "store"))
    platform.wait("media", team)
    told = platform.kube.get("cm", "media-media", team)["data"]["STORE_CAPABILITIES"].split(",")
    assert "ChecksumOnCopy=Unsupported" in told
    assert "SignedChecksum=Enforced" in told
    found = {known["name"]: known["verdict"] for known in platform.get("media", team)["status"]["capabilities"]}
    assert found["ChecksumOnCopy"] == "Unsupported"
