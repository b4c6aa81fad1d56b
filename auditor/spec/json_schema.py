"""The JSON Schema of specs, for editors: completion, hints, and most mistakes marked as they are typed.

It describes one file as written. What needs the whole spec (names, inheritance, variables) is left to `validate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from auditor.spec.check import Check
from auditor.spec.sections import Defaults, Gate, ModelSection, ReportSection, SourceSection, Waiver
from auditor.spec.training import Training

SCALAR = {"type": ["string", "number", "boolean", "null"]}
TEXT = {"type": "string"}
VARIABLE = {"type": "string", "pattern": r"^\$\{[^{}]*\}$"}
BOUNDS = {key: {"anyOf": [{"type": "number"}, {"$ref": "#/$defs/Variable"}]} for key in ("at_least", "at_most")}
"""Of a threshold that inherits its metric: all that can be said without its check's type."""
MAPS = ("properties", "patternProperties", "$defs")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
SINGLE = ("items", "additionalProperties")


def schema(types: Mapping[str, type[Check]]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a spec whose checks are of `types`."""
    sections = (ModelSection, SourceSection, Training, Defaults, Gate, Waiver, ReportSection)
    kinds = [*sections, Check, *types.values()]
    references, shared = models_json_schema([(kind, "validation") for kind in kinds], ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = shared["$defs"]
    where = {kind: references[(kind, "validation")] for kind in kinds}
    branches = []
    for name, kind in sorted(types.items()):
        key = where[kind]["$ref"].removeprefix("#/$defs/")
        definitions[key] = _check(definitions[key], name, kind)
        branches.append(
            {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": {"$ref": f"#/$defs/{key}"}}
        )
    common = definitions.pop(where[Check]["$ref"].removeprefix("#/$defs/"))["properties"]
    sides = {key: {"properties": BOUNDS} for key in ("require", "budget")}
    fields = {key: common[key] for key in common if key not in ("name", "type", *sides)}
    check = {
        "type": "object",
        "properties": {**_taking_variables(fields), **sides, "type": {"enum": sorted(types)}, "extends": TEXT},
        "allOf": branches,
    }
    complete = {
        "required": ["auditor", "name", "model", "data", "checks"],
        "properties": {
            "model": {"required": definitions["ModelSection"].pop("required")},
            "checks": {
                "minProperties": 1,
                "additionalProperties": {"anyOf": [{"required": ["type"]}, {"required": ["extends"]}]},
            },
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "auditor spec",
        "type": "object",
        "additionalProperties": False,
        "if": {"not": {"required": ["include"]}},
        "then": complete,
        "properties": {
            "auditor": {"const": 1},
            "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$"},
            "purpose": TEXT,
            "risk_tier": TEXT,
            "include": {"anyOf": [TEXT, {"type": "array", "items": TEXT}]},
            "vars": {"type": "object", "additionalProperties": SCALAR},
            "model": where[ModelSection],
            "data": {"type": "object", "additionalProperties": where[SourceSection]},
            "training": where[Training],
            "sets": {"type": "object", "additionalProperties": {"$ref": "#/$defs/ClassSets"}},
            "defaults": where[Defaults],
            "checks": {
                "type": "object",
                "propertyNames": {
                    "pattern": "^[a-z0-9][a-z0-9_.+-]*(/[a-z0-9][a-z0-9_.+-]*)*$",
                    "not": {"pattern": "__"},
                },
                "additionalProperties": check,
            },
            "gate": where[Gate],
            "waivers": {"type": "array", "items": where[Waiver]},
            "report": where[ReportSection],
        },
        "$defs": {**_taking_variables(definitions), "ClassSets": _class_sets(), "Variable": VARIABLE},
    }


def _check(definition: dict[str, Any], name: str, kind: type[Check]) -> dict[str, Any]:
    """A check type as a spec writes it: named by its key, with `extends` in place of what it then inherits."""
    properties = {key: value for key, value in definition["properties"].items() if key != "name"}
    properties["type"] = {"const": name}
    properties["extends"] = TEXT
    required = [key for key in definition.get("required", ()) if key not in ("name", "type")]
    out = {key: value for key, value in definition.items() if key != "required"}
    out |= {"properties": properties, "additionalProperties": False}
    if kind.experimental:
        out["x-experimental"] = True
        out["description"] = f"{out.get('description', '')} (Experimental: read, not yet run.)".strip()
    if required:
        out["anyOf"] = [{"required": ["extends"]}, {"required": required}]
    return out


def _taking_variables(definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions with `${name}` allowed wherever a number, a truth value or one of several words is."""
    return {name: _taking_variable(schema) for name, schema in definitions.items()}


def _taking_variable(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    for key in MAPS:
        if key in out:
            out[key] = _taking_variables(out[key])
    for key in LISTS:
        if key in out:
            out[key] = [_taking_variable(inner) for inner in out[key]]
    for key in SINGLE:
        if key in out:
            out[key] = _taking_variable(out[key])
    scalar = out.get("type") in ("number", "integer", "boolean") or "enum" in out or "const" in out
    return {"anyOf": [out, {"$ref": "#/$defs/Variable"}]} if scalar else out


def _class_sets() -> dict[str, Any]:
    names = {"type": "array", "items": TEXT, "minItems": 1}
    again = {"type": "array", "items": {"$ref": "#/$defs/ClassSets"}, "minItems": 1}

    def form(key: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": False, "required": [key], "properties": {key: body}}

    return {
        "anyOf": [
            names,
            form("each_class_with", names),
            form("chain", {**names, "minItems": 2}),
            form("any", again),
            form("file", TEXT),
        ]
    }
