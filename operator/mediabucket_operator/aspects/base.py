"""What every aspect is, and how each is carried out: read, compare, write only a difference, read back."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar

from mediabucket_api.connection import StoreConnection
from mediabucket_api.spec import MediaBucketSpec
from mediabucket_api.status import Capability, CapabilityVerdict, ConditionStatus, ConditionType, LifecycleRuleStatus
from mediabucket_operator.changes import Change, differences
from mediabucket_operator.conditions import DIFFERS, NOT_ENFORCED, NOT_IMPLEMENTED, NOT_KEPT, Verdict
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import NotImplementedByStore, S3Error, StoreUnavailable, Throttled

Document = TypeVar("Document")
Entries = Mapping[str, Any]


@dataclass(frozen=True)
class Context:
    """What an aspect may look at to know what is wanted. `given_up`: lifecycle rules that this store dropped before."""

    spec: MediaBucketSpec
    bucket: str
    connection: StoreConnection
    given_up: tuple[LifecycleRuleStatus, ...] = ()
    # What a probe found out about the store, by name.
    capabilities: Mapping[str, Capability] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """How one aspect went.

    `read`: the changes are all there are; else the store failed before it was compared. `settled`: the store was given
    what is wanted, if it had not got it already. `dropped`: the entries of that which it does not keep.
    `unreachable`: the store did not answer.
    """

    changes: tuple[Change, ...]
    verdict: Verdict
    read: bool = True
    settled: bool = False
    dropped: tuple[str, ...] = ()
    unreachable: bool = False


class Aspect(ABC, Generic[Document]):
    """One side of a bucket. Entries are plain values in a normal form, so that equal means equal."""

    name: ClassVar[str]
    condition: ClassVar[ConditionType]
    # Whether a manifest that asks for nothing leaves everything as it is: then there is nothing to look at.
    only_adds: ClassVar[bool] = False
    # What a probe calls the part of the store that this is about.
    capability: ClassVar[str | None] = None
    # What a bucket has that was just made, where every store begins with the same; None: it has to be looked at.
    of_new_bucket: ClassVar[Any] = None

    @abstractmethod
    def read(self, admin: BucketAdmin) -> Document:
        """The whole document as the store has it. Raises S3Error."""

    @abstractmethod
    def desired(self, context: Context) -> Entries:
        """The entries that the manifest wants; none when it wants nothing here."""

    @abstractmethod
    def ours(self, document: Document, context: Context) -> Entries:
        """The entries of the document that are ours to change."""

    @abstractmethod
    def merged(self, document: Document, context: Context) -> Document:
        """The document with our entries as wanted and all others as they are."""

    @abstractmethod
    def write(self, admin: BucketAdmin, document: Document) -> None:
        """Replace the document. Raises S3Error."""

    def synced(self, context: Context) -> Verdict:
        """What the condition says when the store has what is wanted."""
        return Verdict.true("Synced" if self.desired(context) else "NotRequested")

    def not_implemented(self, admin: BucketAdmin, context: Context) -> Verdict:
        """What the condition says when the store lacks this side altogether."""
        if not self.desired(context):
            return Verdict.true("NotRequested", "the store lacks this, and the manifest does not ask for it")
        rules = json.dumps(self.by_hand(context), separators=(",", ":"))
        return Verdict.false(
            NOT_IMPLEMENTED,
            f"the store of {admin.bucket} lacks this: {self.consequence}; set by the store's own means: {rules}",
        )

    def by_hand(self, context: Context) -> Any:
        """What a person has to set where the store lacks this side, in S3's words."""
        return dict(self.desired(context))

    @property
    @abstractmethod
    def consequence(self) -> str:
        """What follows when the store cannot do this, as a sentence."""

    def incomplete(self, missing: tuple[Change, ...], context: Context) -> Verdict:
        """What the condition says when the store took the document and did not keep all of it."""
        told = f"the store of {context.bucket} accepts, but does not keep: {_paths(missing)}"
        return Verdict.false(NOT_KEPT, f"{told}; {self.consequence}")


def keyed(entries: Iterable[tuple[str, Any]]) -> Entries:
    """Entries by name. Stores may keep a second one of the same name: it is one too many, and must not hide."""
    seen: Counter[str] = Counter()
    found = {}
    for name, entry in entries:
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = entry
    return found


def run(aspect: Aspect[Any], admin: BucketAdmin, context: Context, *, write: bool, is_new: bool = False) -> Result:
    """Carry out one aspect. No failure of the store leaves it: what went wrong becomes the verdict.

    `is_new`: this very pass has made the bucket.
    """
    probed = context.capabilities.get(aspect.capability or "")
    if probed is not None and probed.verdict == CapabilityVerdict.UNSUPPORTED:
        return _not_implemented(aspect, admin, context)
    result = _carried_out(aspect, admin, context, write=write, is_new=is_new)
    ignored = probed is not None and probed.verdict == CapabilityVerdict.IGNORED
    return _without_effect(aspect, result, context) if ignored and result.settled else result


def skipped(after: Result) -> Result:
    """The result of an aspect whose turn did not come, because the store had stopped answering."""
    return Result((), after.verdict, read=False, unreachable=True)


def _without_effect(aspect: Aspect[Any], result: Result, context: Context) -> Result:
    """The store keeps the document, and was found to do nothing about it."""
    if not aspect.desired(context) or result.verdict.status != ConditionStatus.TRUE:
        return result
    told = f"the store keeps this, and a probe found that it does not act on it: {aspect.consequence}"
    return replace(result, verdict=Verdict.false(NOT_ENFORCED, told))


def _carried_out(aspect: Aspect[Any], admin: BucketAdmin, context: Context, *, write: bool, is_new: bool) -> Result:
    if aspect.only_adds and not aspect.desired(context):
        return Result((), aspect.synced(context), settled=True)
    try:
        document = _document(aspect, admin, context, is_new=is_new)
    except NotImplementedByStore:
        return _not_implemented(aspect, admin, context)
    except S3Error as error:
        return replace(_failed(aspect, error), read=False)
    found = _differences(aspect, document, context)
    if not found:
        return Result((), aspect.synced(context), settled=True)
    if not write:
        return Result(found, Verdict.false(DIFFERS, f"the store differs from the manifest in: {_paths(found)}"))
    try:
        aspect.write(admin, aspect.merged(document, context))
        return _read_back(aspect, admin, context, found)
    except NotImplementedByStore:
        return replace(_not_implemented(aspect, admin, context), changes=found)
    except S3Error as error:
        return replace(_failed(aspect, error), changes=found)


def _document(aspect: Aspect[Document], admin: BucketAdmin, context: Context, *, is_new: bool) -> Document:
    # Where nothing will be written, only reading tells whether the store has this side at all.
    if is_new and aspect.of_new_bucket is not None and aspect.desired(context):
        known: Document = aspect.of_new_bucket
        return known
    return aspect.read(admin)


def _differences(aspect: Aspect[Document], document: Document, context: Context) -> tuple[Change, ...]:
    return differences(aspect.name, aspect.ours(document, context), aspect.desired(context))


def _read_back(aspect: Aspect[Any], admin: BucketAdmin, context: Context, found: tuple[Change, ...]) -> Result:
    missing = _differences(aspect, aspect.read(admin), context)
    applied = tuple(change if any(map(change.overlaps, missing)) else change.done() for change in found)
    if not missing:
        return Result(applied, aspect.synced(context), settled=True)
    dropped = tuple(change.path.partition(".")[0] for change in missing)
    return Result(applied, aspect.incomplete(missing, context), settled=True, dropped=dropped)


def _not_implemented(aspect: Aspect[Any], admin: BucketAdmin, context: Context) -> Result:
    try:
        verdict = aspect.not_implemented(admin, context)
    except S3Error as error:
        return replace(_failed(aspect, error), read=False)
    return Result((), verdict, settled=True, dropped=tuple(aspect.desired(context)))


def _failed(aspect: Aspect[Any], error: S3Error) -> Result:
    if isinstance(error, StoreUnavailable | Throttled):
        return Result((), Verdict.unknown("StoreUnreachable", str(error)), unreachable=True)
    return Result((), Verdict.false(type(error).__name__, f"{error}; {aspect.consequence}"))


def _paths(changes: tuple[Change, ...]) -> str:
    return ", ".join(change.path for change in changes)
