"""What every aspect is, and how each is carried out: read, compare, write only a difference, read back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from mediabucket_api.connection import StoreConnection
from mediabucket_api.spec import MediaBucketSpec
from mediabucket_api.status import ConditionType, LifecycleRuleStatus
from mediabucket_operator.changes import Change, differences
from mediabucket_operator.conditions import Verdict
from mediabucket_operator.ownership import Owner
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
    owner: Owner
    given_up: tuple[LifecycleRuleStatus, ...] = ()


@dataclass(frozen=True)
class Result:
    """How one aspect went. `unreachable`: the store did not answer."""

    changes: tuple[Change, ...]
    verdict: Verdict
    dropped: tuple[str, ...] = ()
    unreachable: bool = False


class Aspect(ABC, Generic[Document]):
    """One side of a bucket. Entries are plain values in a normal form, so that equal means equal."""

    name: ClassVar[str]
    condition: ClassVar[ConditionType]

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
        return Verdict.false("NotImplementedByStore", f"the store of {admin.bucket} lacks this: {self.consequence}")

    @property
    @abstractmethod
    def consequence(self) -> str:
        """What follows when the store cannot do this, as a sentence."""

    def incomplete(self, missing: tuple[Change, ...]) -> Verdict:
        """What the condition says when the store took the document and did not keep all of it."""
        paths = ", ".join(change.path for change in missing)
        return Verdict.false("NotKeptByStore", f"the store accepted, but does not keep: {paths}; {self.consequence}")


def run(aspect: Aspect[Any], admin: BucketAdmin, context: Context, *, write: bool) -> Result:
    """Carry out one aspect. No failure leaves it: what went wrong becomes the verdict."""
    try:
        try:
            return _carried_out(aspect, admin, context, write=write)
        except NotImplementedByStore:
            return Result((), aspect.not_implemented(admin, context))
    except (StoreUnavailable, Throttled) as error:
        return Result((), Verdict.unknown("StoreUnreachable", str(error)), unreachable=True)
    except S3Error as error:
        return Result((), Verdict.false(type(error).__name__, f"{error}; {aspect.consequence}"))


def _carried_out(aspect: Aspect[Any], admin: BucketAdmin, context: Context, *, write: bool) -> Result:
    document = aspect.read(admin)
    wanted = aspect.desired(context)
    found = differences(aspect.name, aspect.ours(document, context), wanted)
    if not found:
        return Result((), aspect.synced(context))
    if not write:
        paths = ", ".join(change.path for change in found)
        return Result(found, Verdict.false("Differs", f"the store differs from the manifest in: {paths}"))
    aspect.write(admin, aspect.merged(document, context))
    missing = differences(aspect.name, aspect.ours(aspect.read(admin), context), wanted)
    lost = {change.path for change in missing}
    applied = tuple(change if change.path in lost else change.done() for change in found)
    if not missing:
        return Result(applied, aspect.synced(context))
    dropped = tuple(change.path.partition(".")[0] for change in missing)
    return Result(applied, aspect.incomplete(missing), dropped)
