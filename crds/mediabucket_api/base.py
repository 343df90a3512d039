"""What all API types share: camelCase on the outside, strictness, and rules written once for Python and for CEL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function

# The key of a schema under which a type says in words what its pattern allows. Never part of a CRD.
EXPECTED_KEY = "x-expected"


@dataclass(frozen=True)
class Expected:
    """Annotation of a type with a pattern: what the pattern allows, as a person would say it."""

    words: str

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core_schema) | {EXPECTED_KEY: self.words}


@dataclass(frozen=True)
class ListType:
    """Annotation of a list: how Kubernetes merges it, and that nothing is in a set or a map twice.

    An atomic list has one writer, who replaces it as a whole: who wrote which item is not kept, which the API server
    pays for with every write. What is in it is that writer's affair.
    https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
    """

    kind: Literal["atomic", "set", "map"]
    # Of a map only: the fields that identify an item.
    keys: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        return schema if self.kind == "atomic" else no_info_after_validator_function(self._without_repeats, schema)

    def _without_repeats(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        """The API server refuses a repeated item of a set, and a repeated key of a map."""
        names = [", ".join(str(getattr(item, key)) for key in self.keys) if self.keys else item for item in items]
        repeated = sorted({str(name) for name in names if names.count(name) > 1})
        if repeated:
            raise PydanticCustomError("repeated", "lists {items} more than once", {"items": ", ".join(repeated)})
        return items

    def as_schema(self) -> dict[str, object]:
        schema: dict[str, object] = {"x-kubernetes-list-type": self.kind}
        return schema | {"x-kubernetes-list-map-keys": list(self.keys)} if self.keys else schema


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
    Expected("a Kubernetes name: lower-case letters, digits, dashes and dots, with a letter or digit at both ends"),
]
# A namespace is a DNS label: https://datatracker.ietf.org/doc/html/rfc1123#section-2
NamespaceName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"),
    Expected("a namespace: at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends"),
]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=253)]
HttpUrl = Annotated[
    str,
    StringConstraints(min_length=8, max_length=2048, pattern=r'^https?://[!-"$-.0->@-~]+[!-~]*$'),
    Expected("a URL that starts with http:// or https:// and names a host"),
]


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
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    rules: ClassVar[Sequence[Rule]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        broken = [rule.message for rule in self.rules if rule.holds is not None and not rule.holds(self)]
        if broken:
            raise PydanticCustomError("rule", "{message}", {"message": "; ".join(broken), "broken": broken})
        return self
