"""Trials of a bucket's configuration: what is kept, and what is acted on."""

import time
from collections.abc import Callable
from typing import Any, Final

from mediabucket_operator.aspects.lifecycle import normal_rule
from mediabucket_operator.probe.laboratory import Finding, Laboratory, enforced, ignored, key, unsupported
from mediabucket_s3.presign import SIGNED_REQUEST_HEADERS

_ALLOWED: Final = "https://allowed.example"
_FOREIGN: Final = "https://foreign.example"
_ALLOW_ORIGIN: Final = "access-control-allow-origin"
# How long a store may take until it acts on what it was told.
_PATIENCE_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.2
_PREFIX: Final = "pending/"


def cors_preflight(laboratory: Laboratory) -> Finding:
    rule = {
        "ID": "mediabucket-probe",
        "AllowedOrigins": [_ALLOWED],
        "AllowedMethods": ["PUT", "GET", "HEAD"],
        "AllowedHeaders": list(SIGNED_REQUEST_HEADERS),
        "ExposeHeaders": ["ETag"],
    }
    laboratory.admin.put_cors([rule])
    upload = laboratory.signed_upload("cors", b"cors")

    def preflight(origin: str) -> bool:
        answer = laboratory.sender.preflight(upload, origin)
        return answer.ok and answer.headers.get(_ALLOW_ORIGIN) in (origin, "*")

    if not _soon(lambda: preflight(_ALLOWED)):
        return unsupported("a preflight from an allowed origin is not let in")
    if not _soon(lambda: not preflight(_FOREIGN)):
        return ignored("preflights are let in from an allowed and from a foreign origin")
    return enforced("a preflight is let in from an allowed origin, and refused from a foreign one")


def bucket_policy(laboratory: Laboratory) -> Finding:
    for name in ("public/a", "private/a"):
        laboratory.upload(name, b"policy")
    before = laboratory.anonymous("public/a")
    if before.ok:
        return ignored("anybody can read, even without a policy that allows it")
    statement = {
        "Sid": "MediabucketProbe",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{laboratory.bucket}/{key('public/')}*",
    }
    laboratory.admin.put_policy({"Version": "2012-10-17", "Statement": [statement]})
    opened = _soon(lambda: laboratory.anonymous("public/a").ok)
    private = laboratory.anonymous("private/a")
    laboratory.admin.delete_policy()
    if not opened:
        return ignored("a policy is kept, and what it allows is still refused")
    if private.ok:
        return ignored("a policy for one prefix opens the others as well")
    return enforced("a policy opens its prefix to anybody, and no other")


def public_access_block(laboratory: Laboratory) -> Finding:
    switches = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    wanted = dict.fromkeys(switches, True)
    laboratory.admin.put_public_access_block(wanted)
    found = laboratory.admin.get_public_access_block()
    laboratory.admin.delete_public_access_block()
    return _kept(wanted, {name: (found or {}).get(name) for name in switches})


def bucket_tags(laboratory: Laboratory) -> Finding:
    wanted = {"mediabucket.dev/probe": "a b_c.d:e/f=g+h-i@j"}
    laboratory.admin.put_tags(wanted)
    return _kept(wanted, laboratory.admin.get_tags())


def encryption(laboratory: Laboratory) -> Finding:
    wanted = {"SSEAlgorithm": "AES256"}
    laboratory.admin.put_encryption({"Rules": [{"ApplyServerSideEncryptionByDefault": wanted}]})
    rules = (laboratory.admin.get_encryption() or {}).get("Rules", [{}])
    laboratory.admin.delete_encryption()
    return _kept(wanted, rules[0].get("ApplyServerSideEncryptionByDefault"))


def versioning(laboratory: Laboratory) -> Finding:
    laboratory.admin.put_versioning("Enabled")
    found = laboratory.admin.get_versioning()
    laboratory.admin.put_versioning("Suspended")
    return _kept("Enabled", found)


def lifecycle_expiration(laboratory: Laboratory) -> Finding:
    return _keeps_rule(laboratory, _PREFIX, Expiration={"Days": 1})


def lifecycle_abort_multipart(laboratory: Laboratory) -> Finding:
    return _keeps_rule(laboratory, _PREFIX, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})


def lifecycle_noncurrent(laboratory: Laboratory) -> Finding:
    return _keeps_rule(laboratory, "", NoncurrentVersionExpiration={"NoncurrentDays": 1})


def _keeps_rule(laboratory: Laboratory, prefix: str, **action: dict[str, int]) -> Finding:
    rule: dict[str, Any] = {"ID": "mediabucket-probe", "Status": "Enabled", "Filter": {"Prefix": prefix}, **action}
    laboratory.admin.put_lifecycle([rule])
    found = laboratory.admin.get_lifecycle()
    laboratory.admin.delete_lifecycle()
    return _kept(normal_rule(rule), normal_rule(found[0]) if found else None)


def _kept(wanted: Any, found: Any) -> Finding:
    if found == wanted:
        return enforced("written, and read back the same")
    return ignored("accepted, and not kept" if not found else "accepted, and read back as something else")


def _soon(holds: Callable[[], bool]) -> bool:
    """Whether it holds now, or within a few seconds."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True
