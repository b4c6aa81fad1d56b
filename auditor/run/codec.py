"""Values as data: tensors and arrays as safetensors, tables as Parquet, the rest as JSON. Never pickle.

A value becomes a skeleton of JSON types in which a map with the key `$` stands for what JSON cannot say. Reading makes
tensors, arrays, tables and instances of NamedTuples, dataclasses, enums and pydantic models, and only of those defined
in modules that the reader names: a store's content can neither import a module nor call a function of its choosing.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import math
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from auditor.errors import RecordError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import torch


class Encoded(NamedTuple):
    """A value taken apart. The skeleton names tensors, arrays and tables by the keys they have here."""

    skeleton: Any
    tensors: dict[str, torch.Tensor]
    arrays: dict[str, np.ndarray]
    tables: dict[str, pa.Table]


def encode(value: Any) -> Encoded:
    """Takes `value` apart. Tensors are detached, moved to the CPU and made contiguous.

    Raises TypeError, naming the place, for what the store cannot keep.
    """
    parts = Encoded(None, {}, {}, {})
    return parts._replace(skeleton=_encode(value, parts, "value"))


def decode(parts: Encoded, *, modules: Iterable[str] = ()) -> Any:
    """Puts a value together again; types come from `auditor` and the packages of `modules` alone.

    Raises RecordError for a type from elsewhere or a skeleton that makes no sense.
    """
    roots = {"auditor", *(module.partition(".")[0] for module in modules)}
    try:
        return _decode(parts.skeleton, parts, roots)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"a stored value cannot be read: {type(error).__name__}: {error}") from None


def _encode(value: Any, parts: Encoded, place: str) -> Any:
    if value is None or (isinstance(value, (bool, str)) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, enum.Enum):
        return {"$": "enum", "type": _name(type(value), place), "name": value.name}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$": "float", "value": repr(float(value))}
    if isinstance(value, bytes):
        return {"$": "bytes", "value": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"$": "map", "items": _items(value, parts, place)}
    if isinstance(value, tuple) and hasattr(type(value), "_fields"):
        names: tuple[str, ...] = type(value)._fields  # pyright: ignore[reportAttributeAccessIssue]
        fields = [_encode(item, parts, f"{place}.{name}") for name, item in zip(names, value, strict=True)]
        return {"$": "named", "type": _name(type(value), place), "values": fields}
    if isinstance(value, tuple):
        return {"$": "tuple", "values": [_encode(item, parts, f"{place}[{i}]") for i, item in enumerate(value)]}
    if isinstance(value, list):
        return [_encode(item, parts, f"{place}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return {"$": "model", "type": _name(type(value), place), "fields": _items(fields, parts, place)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return {"$": "dataclass", "type": _name(type(value), place), "fields": _items(fields, parts, place)}
    return _encode_array(value, parts, place)


def _encode_array(value: Any, parts: Encoded, place: str) -> Any:
    if _instance(value, "torch", "Tensor"):
        key = f"t{len(parts.tensors)}"
        parts.tensors[key] = _owned(value, parts.tensors.values())
        return {"$": "tensor", "key": key}
    if _instance(value, "pyarrow", "Table"):
        key = f"p{len(parts.tables)}"
        parts.tables[key] = value
        return {"$": "table", "key": key}
    if _instance(value, "numpy", "generic"):
        return {"$": "scalar", "array": _encode_array(_numpy().asarray(value), parts, place)}
    if _instance(value, "numpy", "ndarray"):
        if value.dtype.kind == "U" or (value.dtype == object and all(isinstance(item, str) for item in value.flat)):
            return {
                "$": "strings",
                "dtype": value.dtype.str,
                "shape": list(value.shape),
                "values": value.ravel().tolist(),
            }
        if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8 and value.dtype.isnative:
            key = f"a{len(parts.arrays)}"
            parts.arrays[key] = _numpy().ascontiguousarray(value).reshape(value.shape)
            return {"$": "array", "key": key}
    found = f"{type(value).__name__}{f' of {value.dtype}' if hasattr(value, 'dtype') else ''}"
    raise TypeError(f"{place}: a {found} cannot be stored; use tensors, arrays, tables, records and JSON types")


def _owned(tensor: torch.Tensor, others: Iterable[torch.Tensor]) -> torch.Tensor:
    """Detached, on the CPU, contiguous, on a storage of its own that is no larger than needed, usable by autograd."""
    result = tensor.detach().cpu().contiguous()
    size = result.untyped_storage().nbytes()
    shared = any(size and other.untyped_storage().data_ptr() == result.untyped_storage().data_ptr() for other in others)
    if shared or result.is_inference() or size != result.numel() * result.element_size():
        return result.clone()
    return result


def _items(fields: Mapping[Any, Any], parts: Encoded, place: str) -> list[list[Any]]:
    """Pairs, so that keys keep their order and type."""
    return [[_encode(key, parts, place), _encode(item, parts, f"{place}.{key}")] for key, item in fields.items()]


def _decode(node: Any, parts: Encoded, roots: set[str]) -> Any:
    if isinstance(node, list):
        return [_decode(item, parts, roots) for item in node]
    if not isinstance(node, dict):
        return node
    match node["$"]:
        case "float":
            return float(node["value"])
        case "bytes":
            return base64.b64decode(node["value"], validate=True)
        case "map":
            return {_decode(key, parts, roots): _decode(item, parts, roots) for key, item in node["items"]}
        case "tuple":
            return tuple(_decode(item, parts, roots) for item in node["values"])
        case "tensor":
            return parts.tensors[node["key"]]
        case "table":
            return parts.tables[node["key"]]
        case "array":
            return parts.arrays[node["key"]]
        case "scalar":
            return parts.arrays[node["array"]["key"]][()]
        case "strings":
            return _numpy().array(node["values"], dtype=node["dtype"]).reshape(node["shape"])
        case _:
            return _decode_instance(node, parts, roots)


def _decode_instance(node: dict[str, Any], parts: Encoded, roots: set[str]) -> Any:
    kind = _resolve(node["type"], roots)
    if node["$"] == "enum" and issubclass(kind, enum.Enum):
        return kind[node["name"]]
    if node["$"] == "named" and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return kind(*(_decode(item, parts, roots) for item in node["values"]))
    fields = {key: _decode(item, parts, roots) for key, item in node["fields"]}
    if node["$"] == "model" and issubclass(kind, BaseModel):
        return kind.model_validate(fields)
    if node["$"] == "dataclass" and dataclasses.is_dataclass(kind):
        return kind(**fields)
    raise ValueError(f"{node['$']} {node['type']} is of no kind that may be stored")


def _name(kind: type, place: str) -> str:
    if "<locals>" in kind.__qualname__:
        raise TypeError(f"{place}: {kind.__qualname__} is defined inside a function, so it cannot be found again")
    return f"{kind.__module__}:{kind.__qualname__}"


def _resolve(name: str, roots: set[str]) -> type:
    """The named type of a module that is already imported, or of `auditor` itself."""
    module, _, qualname = name.partition(":")
    root = module.partition(".")[0]
    if root not in roots:
        raise RecordError(f"a stored value names the type {name}, from a package this task has nothing to do with")
    if module not in sys.modules:
        if root != "auditor" or module.endswith("__main__"):
            raise RecordError(f"a stored value names the type {name}, whose module is not loaded")
        import importlib

        importlib.import_module(module)
    value: Any = sys.modules[module]
    for part in qualname.split("."):
        value = vars(value)[part]
    if not isinstance(value, type) or value.__module__ != module:
        raise RecordError(f"a stored value names {name}, which is not a type defined there")
    return value


def _instance(value: Any, module: str, name: str) -> bool:
    """isinstance without importing: a value of a library's type can only exist where the library is loaded."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))


def _numpy():
    import numpy as np

    return np
