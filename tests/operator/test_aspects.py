"""Documents in normal form, and merging: pure functions, and what a real store makes of what is written."""

import json
import random
from typing import Any

import pytest
from counted_store import NOW, CountedAdmin, MakeResource, Pass, condition, failing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_api.resources import MediaBucket
from mediabucket_api.spec import MediaBucketSpec
from mediabucket_api.status import ConditionType
from mediabucket_operator.aspects import cors, lifecycle, policy
from mediabucket_operator.aspects.base import Aspect, Context, keyed
from mediabucket_operator.reconcile import reconcile
from mediabucket_s3.errors import NotImplementedByStore

NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
STATEMENTS = st.builds(
    lambda sid, actions, prefix, condition: {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": "*",
        "Action": actions,
        "Resource": [f"arn:aws:s3:::bucket/{prefix}/*"],
        **condition,
    },
    NAMES,
    st.lists(st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]), min_size=1, unique=True),
    NAMES,
    st.sampled_from(
        [
            {},
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Condition": {"StringLike": {"aws:Referer": ["https://a.example/*", "https://b.example/*"]}}},
        ]
    ),
)
CORS_RULES = st.builds(
    lambda rule_id, origins, methods: {"ID": rule_id, "AllowedOrigins": origins, "AllowedMethods": methods},
    NAMES,
    st.lists(NAMES.map("https://{}.example".format), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(["GET", "PUT", "HEAD"]), min_size=1, unique=True),
)
LIFECYCLE_RULES = st.builds(
    lambda rule_id, prefix, days: {
        "ID": rule_id,
        "Status": "Enabled",
        "Filter": {"Prefix": f"{prefix}/"},
        "Expiration": {"Days": days},
    },
    NAMES,
    NAMES,
    st.integers(1, 3650),
)


def context(**spec: Any) -> Context:
    return Context(
        spec=MediaBucketSpec.model_validate({"storeRef": {"name": "store"}} | spec),
        bucket="bucket",
        connection=StoreConnection(
            endpoint="https://s3.example.com",
            public_endpoint="https://s3.example.com",
            access_key_id="id",
            secret_access_key=SecretStr("secret"),
        ),
    )


WANTED = context(publicAccess="PublicRead", cors={"allowedOrigins": ["https://chat.example.com"]})
NOTHING = context(requireTLS="Disabled")


@given(st.lists(STATEMENTS, max_size=4, unique_by=lambda statement: statement["Sid"]))
def test_p18_foreign_statements_survive_merging(foreign: list[dict[str, Any]]) -> None:
    check_merging(policy.PolicyAspect(), {"Version": "2012-10-17", "Statement": foreign}, policy.statements_of)


@given(st.lists(CORS_RULES, max_size=4, unique_by=lambda rule: rule["ID"]))
def test_p18_foreign_cors_rules_survive_merging(foreign: list[dict[str, Any]]) -> None:
    check_merging(cors.CorsAspect(), foreign, list)


@given(st.lists(LIFECYCLE_RULES, max_size=4, unique_by=lambda rule: rule["ID"]))
def test_p18_foreign_lifecycle_rules_survive_merging(foreign: list[dict[str, Any]]) -> None:
    check_merging(lifecycle.LifecycleAspect(), foreign, list)


def check_merging(aspect: Aspect[Any], document: Any, entries: Any) -> None:
    """What is wanted gets in, once; what others wrote stays as it is, also when ours goes again."""
    merged = aspect.merged(document, WANTED)
    assert aspect.ours(merged, WANTED) == aspect.desired(WANTED)
    assert aspect.merged(merged, WANTED) == merged
    for foreign in entries(document):
        assert foreign in entries(merged)
        assert foreign in entries(aspect.merged(merged, NOTHING))


@given(STATEMENTS, st.randoms())
def test_a_statement_means_the_same_however_a_store_writes_it(statement: dict[str, Any], order: random.Random) -> None:
    rewritten = {**statement, "Principal": {"AWS": ["*"]}, "Action": list(statement["Action"])}
    order.shuffle(rewritten["Action"])
    if len(rewritten["Action"]) == 1:
        [rewritten["Action"]] = rewritten["Action"]
    rewritten["Resource"] = statement["Resource"][0]
    assert policy.normal_statement(rewritten) == policy.normal_statement(statement)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(STATEMENTS, min_size=1, max_size=3, unique_by=lambda statement: statement["Sid"]),
    st.lists(CORS_RULES, min_size=1, max_size=3, unique_by=lambda rule: rule["ID"]),
    st.lists(LIFECYCLE_RULES, min_size=1, max_size=3, unique_by=lambda rule: rule["ID"]),
)
def test_what_a_store_answers_is_what_was_written(
    admin: CountedAdmin,
    statements: list[dict[str, Any]],
    cors_rules: list[dict[str, Any]],
    lifecycle_rules: list[dict[str, Any]],
) -> None:
    if not admin.exists():
        admin.create("us-east-1", {})
    told = json.loads(json.dumps(statements).replace(":bucket/", f":{admin.bucket}/"))
    admin.put_policy({"Version": "2012-10-17", "Statement": told})
    answered = policy.statements_of(admin.get_policy() or {})
    assert list(map(policy.normal_statement, answered)) == list(map(policy.normal_statement, told))
    admin.put_cors(cors_rules)
    assert list(map(cors.normal_rule, admin.get_cors())) == list(map(cors.normal_rule, cors_rules))
    admin.put_lifecycle(lifecycle_rules)
    assert list(map(lifecycle.normal_rule, admin.get_lifecycle())) == list(map(lifecycle.normal_rule, lifecycle_rules))


@pytest.mark.parametrize(
    ("statement", "public"),
    [
        ({"Effect": "Allow", "Principal": "*"}, True),
        ({"Effect": "Allow", "Principal": {"AWS": "*"}}, True),
        ({"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::1:root", "*"]}}, True),
        ({"Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::1:root"}}, True),
        ({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"}}, False),
        ({"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}}, False),
        ({"Effect": "Allow", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}, False),
        ({"Effect": "Deny", "Principal": "*"}, False),
    ],
)
def test_who_lets_anybody_in(statement: dict[str, Any], public: bool) -> None:
    assert policy.is_public(statement) is public


def test_tls_is_required_where_there_is_tls(make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin) -> None:
    assert [statement["Sid"] for statement in policy.statements(context())] == [policy.REQUIRE_TLS]
    outcome = run_pass(make_resource())
    told = condition(outcome, ConditionType.POLICY_SYNCED)
    assert (told.status, told.reason) == ("True", "PlainHttpEndpoint")
    assert admin.get_policy() is None, "on a plain-http endpoint it would lock everyone out"


def test_the_public_access_block_is_set_where_there_is_one() -> None:
    """moto has the call that SeaweedFS lacks; sizes, signatures and checksums play no part here."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        store = StoreConnection(
            endpoint=endpoint, public_endpoint=endpoint, access_key_id="id", secret_access_key=SecretStr("secret")
        )
        admin = CountedAdmin.counting(store, "team-a-media")
        blocked = block_after_pass(admin, store, publicAccess="Blocked")
        assert set(blocked.values()) == {True}
        opened = block_after_pass(admin, store, publicAccess="PublicRead")
        assert [name for name, value in opened.items() if value] == ["BlockPublicAcls", "IgnorePublicAcls"]
        assert block_after_pass(admin, store, publicAccess="Blocked") == blocked
    finally:
        server.stop()


def block_after_pass(admin: CountedAdmin, store: StoreConnection, **spec: Any) -> dict[str, bool]:
    document = {"metadata": {"name": "media", "namespace": "team-a"}, "spec": {"storeRef": {"name": "moto"}} | spec}
    reconcile(MediaBucket.model_validate(document), admin, connection=store, now=NOW)
    found = admin.get_public_access_block() or {}
    return {name: found[name] for name in sorted(found)}


@pytest.mark.parametrize(
    ("spec", "reason"), [({}, "NoPublicPolicy"), ({"publicAccess": "PublicRead"}, "PublicReadRequested")]
)
def test_a_store_without_a_block_is_judged_by_its_policy(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, spec: dict[str, Any], reason: str
) -> None:
    def told(resource: MediaBucket) -> tuple[str, str]:
        found = condition(run_pass(resource), ConditionType.PUBLIC_ACCESS_BLOCKED)
        return found.status, found.reason

    resource = make_resource(**spec)
    assert told(resource) == ("True", reason)
    anybody = {"Sid": "Leak", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    arn = f"arn:aws:s3:::{resource.bucket_name}/*"
    admin.put_policy({"Version": "2012-10-17", "Statement": [anybody | {"Resource": arn}]})
    if not spec:
        assert told(resource) == ("False", "PublicPolicy")


def test_a_store_without_block_and_policies_opens_nothing(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "get_policy", failing(NotImplementedByStore("GetBucketPolicy", "NotImplemented", 501)))
    outcome = run_pass(make_resource(requireTLS="Disabled"))
    told = condition(outcome, ConditionType.PUBLIC_ACCESS_BLOCKED)
    assert (told.status, told.reason) == ("True", "NoPublicPolicy")
    assert condition(outcome, ConditionType.READY).status == "True"


def test_entries_of_one_name_do_not_hide_each_other() -> None:
    assert keyed([("a", 1), ("b", 2), ("a", 3)]) == {"a": 1, "b": 2, "a (2)": 3}
