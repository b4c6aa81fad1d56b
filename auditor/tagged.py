"""How a spec spells a value that is one of several kinds: a map of one key, its tag. Torch-free.

Each kind is a frozen dataclass with its `tag`: `{top_k: 3}`, `{linear: {baseline: mean}}`; or the bare tag where every
field has a default: `point`. `Tagged` gives pydantic that form for a union of them. A class with `inline = True`
has one field, which is the tag's whole value; `spelled` maps a field to its name in YAML where that is no Python name.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

STRICT = {"extra": "forbid"}
"""The `__pydantic_config__` of a kind: a field it does not have is a mistake."""


class Tagged:
    """Pydantic annotation: a union of dataclasses, each written in YAML under its own tag.

    `Guarantee = Annotated[Standard | TopK, Tagged(Standard, TopK)]`, each class naming its own `tag`.
    """

    def __init__(self, *kinds: type) -> None:
        self.options: dict[str, type] = {kind.tag: kind for kind in kinds}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        choices = {tag: self._choice(tag, kind, handler) for tag, kind in self.options.items()}
        union = core_schema.tagged_union_schema(
            choices=choices,
            discriminator=self._tag,
            custom_error_type="unknown_tag",
            custom_error_message="expected one of {expected}",
            custom_error_context={"expected": ", ".join(self.options)},
        )
        tagged = core_schema.no_info_before_validator_function(self._normal, union)
        return core_schema.json_or_python_schema(
            json_schema=tagged,
            python_schema=core_schema.no_info_wrap_validator_function(self._either, tagged),
            serialization=core_schema.plain_serializer_function_ser_schema(written),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        bare = [tag for tag, kind in self.options.items() if not any(map(_needed, dataclasses.fields(kind)))]
        maps = handler(schema)
        return {"anyOf": [{"enum": bare}, maps]} if bare else maps

    def _choice(self, tag: str, kind: type, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        if getattr(kind, "inline", False):
            field = dataclasses.fields(kind)[0]
            hint = _hints(kind)[field.name]
            body = core_schema.no_info_after_validator_function(kind, handler.generate_schema(hint))
        else:
            body = handler.generate_schema(kind)
        wrapped = core_schema.typed_dict_schema(
            {tag: core_schema.typed_dict_field(body, required=True)}, extra_behavior="forbid"
        )
        return core_schema.no_info_after_validator_function(lambda value: value[tag], wrapped)

    def _either(self, value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
        return value if isinstance(value, tuple(self.options.values())) else handler(value)

    def _normal(self, value: Any) -> Any:
        if isinstance(value, str) and value in self.options:
            return {value: {}}
        if isinstance(value, Mapping) and len(value) != 1:
            expected = ", ".join(self.options)
            raise PydanticCustomError(
                "one_tag", "expected a map with one key, one of {expected}", {"expected": expected}
            )
        return tupled(value)

    def _tag(self, value: Any) -> str | None:
        return next(iter(value), None) if isinstance(value, Mapping) else None


def tupled(value: Any) -> Any:
    """`value` with every list in it as a tuple: behind a validator that runs before, strict pydantic takes no list."""
    if isinstance(value, Mapping):
        return {key: tupled(item) for key, item in value.items()}
    return tuple(tupled(item) for item in value) if isinstance(value, (list, tuple)) else value


def _needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def written(value: Any) -> Any:
    """`value` as a spec writes it: every tagged dataclass in it becomes `{tag: ...}`."""
    if isinstance(value, (list, tuple)):
        return [written(item) for item in value]
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    spelled = getattr(value, "spelled", {})
    names = [field.name for field in dataclasses.fields(value)]
    fields = {spelled.get(name, name): written(getattr(value, name)) for name in names}
    tag = getattr(value, "tag", None)
    if tag is None:
        return fields
    return {tag: next(iter(fields.values())) if getattr(value, "inline", False) else fields}


def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, vars(sys.modules[kind.__module__]), include_extras=True)
