"""IAM users on a real store: made, listed, and gone without a trace, whatever was there before or answers instead."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.errors import (
    ERROR_CODES,
    AccessDenied,
    IdentityExists,
    IdentityMissing,
    InvalidRequest,
    LimitReached,
    NotImplementedByStore,
    S3Error,
    error_class,
)
from mediabucket_s3.identities import IdentityAdmin, bucket_access_policies, bucket_access_policy, iam_endpoint_of

POLICY = "access"
# The words of SeaweedFS.
DOCUMENT = bucket_access_policies("some-bucket")[1]
OPERATIONS_USED = (
    "CreateAccessKey",
    "CreateUser",
    "DeleteAccessKey",
    "DeleteUser",
    "DeleteUserPolicy",
    "GetUser",
    "GetUserPolicy",
    "ListAccessKeys",
    "ListUserPolicies",
    "ListUsers",
    "PutUserPolicy",
)


@pytest.fixture
def identities(connection: StoreConnection) -> IdentityAdmin:
    return IdentityAdmin.connect(connection)


@pytest.fixture
def user(identities: IdentityAdmin, bucket_name: str) -> Iterator[str]:
    """A name that no user has yet."""
    name = f"user-{bucket_name}"
    yield name
    identities.delete_user(name)


@pytest.fixture
def moto() -> Iterator[IdentityAdmin]:
    """Any key may do anything there, but its users have AWS's rules."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"access_key_id": "a", "secret_access_key": SecretStr("b")}
    yield IdentityAdmin.connect(StoreConnection(endpoint=endpoint, public_endpoint=endpoint, **keys))
    server.stop()


def furnish(identities: IdentityAdmin, user: str, things: int = 2) -> None:
    identities.create_user(user, {"team": "a"})
    for number in range(things):
        identities.put_policy(user, f"{POLICY}-{number}", DOCUMENT)
        identities.create_access_key(user)


def test_a_user_is_made_once_and_deleted_with_all_it_has(identities: IdentityAdmin, user: str) -> None:
    assert not identities.user_exists(user)
    for _ in range(2):
        furnish(identities, user)
        assert identities.user_exists(user)
    for _ in range(2):
        identities.delete_user(user)
        assert not identities.user_exists(user)
    identities.create_user(user, {})
    assert identities.list_access_keys(user) == []
    assert identities.get_policy(user, f"{POLICY}-0") is None


def test_aws_deletes_no_user_that_still_has_something(moto: IdentityAdmin) -> None:
    furnish(moto, "a")
    with pytest.raises(LimitReached):
        moto.create_access_key("a")
    moto.delete_user("a")
    assert moto.list_users("") == []
    moto.delete_user("a")


class Dying:
    """A client whose caller dies at one call, which the store has done already or never heard of."""

    def __init__(self, client: Any, at: int, done: bool) -> None:
        self._client, self._left, self._done = client, at, done

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self._left -= 1
            answer = getattr(self._client, name)(**arguments) if self._left or self._done else None
            if not self._left:
                raise KeyboardInterrupt
            return answer

        return call


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("at", range(1, 6))
def test_deleting_may_die_at_any_call_and_be_repeated(
    identities: IdentityAdmin, user: str, at: int, done: bool
) -> None:
    furnish(identities, user, things=1)
    with pytest.raises(KeyboardInterrupt):
        IdentityAdmin(Dying(identities._client, at, done)).delete_user(user)
    identities.delete_user(user)
    assert not identities.user_exists(user)
    assert identities.list_access_keys(user) == []


def test_keys_are_listed_and_deleted(identities: IdentityAdmin, user: str) -> None:
    identities.create_user(user, {})
    first, second = identities.create_access_key(user), identities.create_access_key(user)
    found = identities.list_access_keys(user)
    assert {key.access_key_id for key in found} == {first.access_key_id, second.access_key_id}
    assert all(key.active for key in found)
    for _ in range(2):
        identities.delete_access_key(user, first.access_key_id)
    assert [key.access_key_id for key in identities.list_access_keys(user)] == [second.access_key_id]


def test_a_key_has_an_age_where_the_store_tells_it(moto: IdentityAdmin) -> None:
    moto.create_user("a", {})
    made = moto.create_access_key("a")
    [key] = moto.list_access_keys("a")
    assert key.access_key_id == made.access_key_id
    assert key.created is not None
    assert key.created.tzinfo is not None


def test_a_policy_is_written_read_back_replaced_and_deleted(identities: IdentityAdmin, user: str) -> None:
    identities.create_user(user, {})
    assert identities.get_policy(user, POLICY) is None
    for bucket in ("some-bucket", "other-bucket"):
        identities.put_policy(user, POLICY, bucket_access_policies(bucket)[1])
        found = identities.get_policy(user, POLICY)
        assert found is not None
        assert [statement["Sid"] for statement in found["Statement"]] == ["Signing", "Finishing", "Listing"]
        assert f"arn:aws:s3:::{bucket}" in json.dumps(found)
    for _ in range(2):
        identities.delete_policy(user, POLICY)
        assert identities.get_policy(user, POLICY) is None


def test_a_policy_that_the_store_cannot_read_is_invalid(identities: IdentityAdmin, user: str) -> None:
    identities.create_user(user, {})
    with pytest.raises(InvalidRequest, match="ListMultipartUploadParts"):
        identities.put_policy(user, POLICY, bucket_access_policy("some-bucket"))


def test_aws_words_are_accepted_where_aws_is_imitated(moto: IdentityAdmin) -> None:
    moto.create_user("a", {})
    moto.put_policy("a", POLICY, bucket_access_policy("media"))
    assert moto.get_policy("a", POLICY) == bucket_access_policy("media")
    assert moto.get_policy("a", "other") is None


def test_seaweedfs_makes_up_a_policy_for_a_name_that_the_user_does_not_have(
    identities: IdentityAdmin, user: str
) -> None:
    identities.create_user(user, {})
    identities.put_policy(user, POLICY, DOCUMENT)
    made_up = identities.get_policy(user, "other")
    assert made_up is not None
    assert made_up != identities.get_policy(user, POLICY)


@pytest.mark.parametrize("admin", ["identities", "moto"])
def test_without_the_user_there_is_nothing_to_change(admin: str, request: pytest.FixtureRequest) -> None:
    identities: IdentityAdmin = request.getfixturevalue(admin)
    for attempt in (
        lambda: identities.get_policy("nobody", POLICY),
        lambda: identities.put_policy("nobody", POLICY, DOCUMENT),
        lambda: identities.create_access_key("nobody"),
    ):
        with pytest.raises(IdentityMissing):
            attempt()
    identities.delete_policy("nobody", POLICY)
    identities.delete_access_key("nobody", "AKIAIOSFODNN7EXAMPLE")
    identities.delete_user("nobody")


def test_keys_of_nobody_are_missing_but_on_seaweedfs(identities: IdentityAdmin, moto: IdentityAdmin) -> None:
    with pytest.raises(IdentityMissing):
        moto.list_access_keys("nobody")
    assert identities.list_access_keys("nobody") == []


def test_users_are_found_by_the_beginning_of_their_names(identities: IdentityAdmin, user: str) -> None:
    assert identities.list_users(user) == []
    identities.create_user(user, {})
    assert identities.list_users(user) == [user]
    assert user in identities.list_users(user[:8])
    assert identities.list_users(user[1:]) == []


class Paged:
    """Tells one thing a page; keeps the names of what it is told to delete."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def list_users(self, **told: str) -> dict[str, Any]:
        return self._page(told, "Users", {"UserName": f"a-{self._number(told)}"}, {"UserName": "b"})

    def list_access_keys(self, **told: str) -> dict[str, Any]:
        return self._page(told, "AccessKeyMetadata", {"AccessKeyId": f"{told['UserName']}-key-{self._number(told)}"})

    def list_user_policies(self, **told: str) -> dict[str, Any]:
        return self._page(told, "PolicyNames", f"{told['UserName']}-policy-{self._number(told)}")

    def _number(self, told: dict[str, str]) -> int:
        return int(told.get("Marker", 0))

    def _page(self, told: dict[str, str], name: str, *found: Any) -> dict[str, Any]:
        following = self._number(told) + 1
        return {name: list(found), **({"IsTruncated": True, "Marker": str(following)} if following < 3 else {})}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda **told: self.deleted.append(list(told.values())[-1])


def test_all_pages_are_read() -> None:
    client = Paged()
    identities = IdentityAdmin(client)
    assert identities.list_users("a-") == ["a-0", "a-1", "a-2"]
    assert [key.access_key_id for key in identities.list_access_keys("u")] == ["u-key-0", "u-key-1", "u-key-2"]
    identities.delete_user("u")
    things = [f"u-{kind}-{page}" for kind in ("key", "policy") for page in range(3)]
    assert client.deleted == [*things, "u"]


class NoTags:
    """Knows no tags; has a user of that name already, if told so."""

    def __init__(self, error: type[S3Error], exists: bool) -> None:
        self._error, self._exists = error, exists

    def create_user(self, **arguments: Any) -> None:
        if "Tags" in arguments:
            raise self._error("CreateUser", "Tags", 400)
        if self._exists:
            raise IdentityExists("CreateUser", "EntityAlreadyExists", 409)


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("error", [InvalidRequest, NotImplementedByStore])
def test_a_store_without_tags_gets_its_users_without(error: type[S3Error], exists: bool) -> None:
    IdentityAdmin(NoTags(error, exists)).create_user("a", {"team": "a"})
    with pytest.raises(AccessDenied):
        IdentityAdmin(NoTags(AccessDenied, exists)).create_user("a", {"team": "a"})


@pytest.mark.parametrize("operation", OPERATIONS_USED)
def test_every_error_that_botocore_knows_of_a_call_in_use_has_a_class(operation: str) -> None:
    model = botocore.session.get_session().get_service_model("iam").operation_model(operation)
    codes = {shape.error_code for shape in model.error_shapes}
    # Somebody else gave the user more than we know of: its own message says what.
    unclassified = codes - {code for codes in ERROR_CODES.values() for code in codes} - {"DeleteConflict"}
    assert {code for code in unclassified if error_class(operation, code, 400) is not InvalidRequest} == set()


def test_a_new_key_is_told_once_and_nowhere_else(
    identities: IdentityAdmin, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    identities.create_user(user, {})
    with caplog.at_level(logging.DEBUG):
        made = identities.create_access_key(user)
        identities.list_access_keys(user)
    secret = made.secret_access_key.get_secret_value()
    assert "ListAccessKeysResponse" in caplog.text
    assert secret
    assert not [text for text in (caplog.text, repr(made), str(made)) if secret in text]


@pytest.mark.parametrize(
    ("endpoint", "iam"),
    [
        ("https://s3.eu-central-1.amazonaws.com", "https://iam.amazonaws.com"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "https://iam.cn-north-1.amazonaws.com.cn"),
        ("http://seaweedfs:8333", "http://seaweedfs:8333"),
        ("https://amazonaws.com.example.com", "https://amazonaws.com.example.com"),
    ],
)
def test_aws_has_its_iam_elsewhere(endpoint: str, iam: str) -> None:
    """Asked at S3, it would look like a store without IAM, which shares its own key."""
    assert iam_endpoint_of(endpoint) == iam
