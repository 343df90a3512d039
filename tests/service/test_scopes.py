"""Who may erase users: tokens whose scope contains that of `spec.service.auth.adminScope`."""

from typing import Any

import pytest
from erasing import erase, erase_to_the_end, rows_of
from service_platform import MakePlatform, Platform
from upload_client import File

from mediabucket_service.auth import scopes_of

SUFFICIENT: list[dict[str, Any]] = [
    {"scope": "media:admin"},
    {"scope": "openid media:admin profile"},
    {"scope": ["openid", "media:admin"]},
    {"scope": "openid", "scp": "media:admin"},
    {"scope": None, "scp": ["media:admin"]},
]
INSUFFICIENT: list[dict[str, Any]] = [
    {"scope": None},
    {"scope": ""},
    {"scope": "openid media:administrator"},
    {"scope": "MEDIA:ADMIN"},
    {"scope": "media:admin,openid"},
    {"scope": "openid\tmedia:admin"},
    {"scope": ["openid media:admin"]},
    {"scope": [["media:admin"]]},
    {"scope": {"media:admin": True}},
    {"scope": 7, "scp": True},
    {"scope": None, "scopes": "media:admin", "roles": ["media:admin"]},
]


@pytest.mark.parametrize("claims", SUFFICIENT)
async def test_a_token_with_the_scope_may_erase(platform: Platform, claims: dict[str, Any]) -> None:
    assert (await erase(platform, "nobody", **claims)).status_code == 200


@pytest.mark.parametrize("claims", INSUFFICIENT)
async def test_a_token_without_it_erases_nothing(platform: Platform, claims: dict[str, Any]) -> None:
    await platform.user("alice").upload(File(b"a picture"))
    answer = await erase(platform, "alice", **claims)
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == 'Bearer realm="mediabucket", error="insufficient_scope"'
    assert answer.json()["type"] == "urn:mediabucket:problem:forbidden"
    assert answer.json()["detail"] == (
        "this call needs a token whose scope contains media:admin: ask whoever issues your tokens"
    )
    assert [row["status"] for row in await rows_of(platform, "alice")] == ["completed"]


async def test_not_even_the_user_without_the_scope(platform: Platform) -> None:
    assert (await platform.user("alice").call("DELETE", "/api/users/alice/media")).status_code == 403
    assert (await platform.http.delete("/api/users/alice/media")).status_code == 401


async def test_the_manifest_names_the_scope(make_platform: MakePlatform) -> None:
    service = {"auth": {"adminScope": "urn:chat:privacy"}}
    async with make_platform(service=service) as platform:
        assert (await erase(platform, "nobody")).status_code == 403
        assert (await erase(platform, "nobody", scope="urn:chat:privacy")).status_code == 200


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, set()),
        ({"scope": "  a  b "}, {"a", "b"}),
        ({"scope": ["a", "", 1, "b c"], "scp": "d e"}, {"a", "b c", "d", "e"}),
        ({"scope": 1, "scp": {"a": 1}}, set()),
    ],
)
def test_scopes_are_read_from_both_claims_in_both_forms(claims: dict[str, Any], scopes: set[str]) -> None:
    assert scopes_of(claims) == scopes


async def test_the_call_is_documented(platform: Platform) -> None:
    document = (await platform.http.get("/openapi.json")).json()
    operation = document["paths"]["/api/users/{sub}/media"]["delete"]
    assert set(operation["responses"]) == {"200", "202", "400", "401", "403", "404", "429", "503", "default"}
    for status in ("200", "202"):
        schema = operation["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErasureReport"}
    assert (await erase_to_the_end(platform, "nobody")).keys() == set(
        document["components"]["schemas"]["ErasureReport"]["properties"]
    )
