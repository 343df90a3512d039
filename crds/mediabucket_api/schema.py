"""A pydantic model as a structural schema of Kubernetes: no references, no unions, a bound on everything.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

import inspect
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from mediabucket_api.base import ApiModel, ListType

Schema = dict[str, Any]


@cache
def schema_of(model: type[BaseModel]) -> Schema:
    """The schema of a model, with defaults, and with the model's rules as CEL. Shared: do not change it."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    schema: Schema = {"type": "object"}
    if description := _own_docstring(model):
        schema["description"] = description
    schema["properties"] = {alias: _field_schema(field) for alias, field in fields.items()}
    if required := [alias for alias, field in fields.items() if field.is_required()]:
        schema["required"] = required
    if issubclass(model, ApiModel) and model.rules:
        schema["x-kubernetes-validations"] = [{"rule": rule.cel, "message": rule.message} for rule in model.rules]
    return schema


def _own_docstring(model: type[BaseModel]) -> str | None:
    return inspect.cleandoc(model.__doc__) if "__doc__" in vars(model) and model.__doc__ else None


def _field_schema(field: FieldInfo) -> Schema:
    schema = type_schema(field.annotation, tuple(field.metadata))
    if field.description:
        schema["description"] = field.description
    default = field.get_default(call_default_factory=True, validated_data={})
    if not field.is_required() and default is not None:
        schema["default"] = _default_json(default)
    return schema


def _default_json(default: object) -> object:
    """What the API server fills in: whole, since it checks the rules of a default before it fills in what is inside."""
    return TypeAdapter(type(default)).dump_python(default, mode="json", by_alias=True, exclude_none=True)


def type_schema(annotation: Any, metadata: tuple[object, ...] = ()) -> Schema:
    """The schema of a type as it stands in an annotation."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return type_schema(inner, (*more, *metadata))
    if origin in (Union, UnionType):
        # An optional field is absent, never null: the API server drops a null from a field that is not nullable.
        (inner,) = (argument for argument in get_args(annotation) if argument is not NoneType)
        return type_schema(inner, metadata)
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return dict(schema_of(annotation))
    schema = _json_schema(annotation, metadata)
    if origin is tuple:
        schema["items"] = type_schema(get_args(annotation)[0])
        (list_type,) = (mark for mark in metadata if isinstance(mark, ListType))
        return schema | list_type.as_schema()
    if origin is dict:
        schema["additionalProperties"] = type_schema(get_args(annotation)[1])
    return schema


def _json_schema(annotation: Any, metadata: tuple[object, ...]) -> Schema:
    """What pydantic says of a type that is not a model, in the words that Kubernetes knows."""
    constrained: Any = Annotated[annotation, *metadata] if metadata else annotation
    schema = TypeAdapter(constrained).json_schema(by_alias=True)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    for unwanted in ("title", "description", "$defs", "propertyNames"):
        schema.pop(unwanted, None)
    return schema
