"""What is different between a manifest and a store."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True)
class Change:
    """One difference: `before` is the store's value, `after` the manifest's; None where there is none.

    `path` names the field inside its aspect, with dots. `applied` once it was written and found there again.
    """

    aspect: str
    path: str
    before: Any
    after: Any
    applied: bool = False

    @property
    def action(self) -> Action:
        if self.before is None:
            return "create"
        return "delete" if self.after is None else "update"

    def done(self) -> "Change":
        return replace(self, applied=True)

    def overlaps(self, other: "Change") -> bool:
        """Whether one is about the other's field, or about a part of it."""
        one, another = f"{self.path}.", f"{other.path}."
        return self.aspect == other.aspect and (one.startswith(another) or another.startswith(one))


def differences(aspect: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """What has to change for `before` to become `after`, field by field.

    Both are in normal form: what stores add by themselves is no longer in it.
    """
    return tuple(Change(aspect, path, old, new) for path, old, new in _differing("", before, after))


def _differing(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        here = f"{path}.{name}" if path else name
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differing(here, old, new)
        elif old != new:
            yield here, old, new
