"""CORS: one rule of ours, beside those of others. Methods and headers follow from what the signer signs.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CORSRule.html
"""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.constants import RULE_ID_PREFIX
from mediabucket_api.status import ConditionType
from mediabucket_operator.aspects.base import Aspect, Context, Entries, keyed
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.presign import SIGNED_REQUEST_HEADERS

Rules = list[dict[str, Any]]
RULE_ID = f"{RULE_ID_PREFIX}uploads"
_ALLOWED = {
    "AllowedMethods": ["PUT", "GET", "HEAD"],
    "AllowedHeaders": list(SIGNED_REQUEST_HEADERS),
    "ExposeHeaders": ["ETag"],
}


class CorsAspect(Aspect[Rules]):
    name = "cors"
    condition = ConditionType.CORS_SYNCED
    capability = CapabilityName.CORS_PREFLIGHT
    of_new_bucket = ()
    consequence = "browsers can upload only if the store is set up elsewhere to allow these origins"

    def read(self, admin: BucketAdmin) -> Rules:
        return admin.get_cors()

    def desired(self, context: Context) -> Entries:
        return {rule["ID"]: normal_rule(rule) for rule in _wanted(context)}

    @override
    def by_hand(self, context: Context) -> Rules:
        return _wanted(context)

    @override
    def ours(self, document: Rules, context: Context) -> Entries:
        return keyed((rule.get("ID") or RULE_ID, normal_rule(rule)) for rule in document if _is_ours(rule))

    def merged(self, document: Rules, context: Context) -> Rules:
        # The first rule that fits an origin is the one that counts: ours must not be hidden behind another.
        return [*_wanted(context), *(rule for rule in document if not _is_ours(rule))]

    def write(self, admin: BucketAdmin, document: Rules) -> None:
        if document:
            admin.put_cors(document)
        else:
            admin.delete_cors()


def normal_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule in one form: order and the case of header names mean nothing, an absent list is an empty one."""
    return {
        "allowedOrigins": sorted(rule.get("AllowedOrigins", [])),
        "allowedMethods": sorted(rule.get("AllowedMethods", [])),
        "allowedHeaders": sorted(header.lower() for header in rule.get("AllowedHeaders", [])),
        "exposeHeaders": sorted(header.lower() for header in rule.get("ExposeHeaders", [])),
        "maxAgeSeconds": rule.get("MaxAgeSeconds", 0),
    }


def _wanted(context: Context) -> Rules:
    cors = context.spec.cors
    if not cors.allowed_origins:
        return []
    whose = {"AllowedOrigins": list(cors.allowed_origins), "MaxAgeSeconds": cors.max_age_seconds}
    return [{"ID": RULE_ID, **_ALLOWED, **whose}]


def _is_ours(rule: Mapping[str, Any]) -> bool:
    """By its id; where the store does not keep ids, by allowing just what we would, to whatever origin."""
    if rule.get("ID"):
        return str(rule["ID"]).startswith(RULE_ID_PREFIX)
    ours, found = normal_rule(_ALLOWED), normal_rule(rule)
    return all(found[name] == ours[name] for name in ("allowedMethods", "allowedHeaders", "exposeHeaders"))
