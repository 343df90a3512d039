"""What all API types share: camelCase on the outside, strictness, and rules written once for Python and for CEL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

Name = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=253)]
HttpUrl = Annotated[str, StringConstraints(min_length=8, max_length=2048, pattern=r"^https?://[^\s/?#]+[^\s]*$")]


@dataclass(frozen=True)
class Rule:
    """One rule over several fields of a model, for the API server (CEL) and for manifests read without one.

    `holds` is None for a transition rule (it names `oldSelf`), which only the API server can check.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = None


def immutable(field: str) -> Rule:
    """A required field that never changes."""
    return Rule(f"self.{field} == oldSelf.{field}", f"{field} is immutable")


def immutable_optional(field: str) -> Rule:
    """An optional field that never changes: a rule on the field itself is skipped when it is added or removed."""
    return Rule(
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        f"{field} is immutable: it cannot be changed, added or removed",
    )


class ApiModel(BaseModel):
    """Base of every type that a manifest, a status or an output contains."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid", frozen=True
    )

    rules: ClassVar[Sequence[Rule]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        broken = [rule.message for rule in self.rules if rule.holds is not None and not rule.holds(self)]
        if broken:
            raise PydanticCustomError("rule", "{message}", {"message": "; ".join(broken), "broken": broken})
        return self
