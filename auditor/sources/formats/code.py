"""Anything else: `path/to/file.py:callable` or `package.module:callable`, which returns (x, y)."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import AuditorError, DataError
from auditor.lookup.code import Callable, load_callable
from auditor.sources.formats.arrays import Arrays
from auditor.sources.reader import Options

if TYPE_CHECKING:
    import numpy as np


class Code(Arrays):
    """The arrays a callable returns, as (x, y) or as a mapping that holds further arrays as attributes.

    It is called once per process, to plan already, since only it knows its rows. The digest covers what it returned,
    not its source, so a callable must return the same at every call."""

    format = "callable"

    def __init__(self, target: Callable, base: Path, options: Options):
        arrays = _call(target, Path(base).resolve(), Path.cwd())
        super().__init__(str(target), arrays, lambda: _digest(arrays), options)


@lru_cache(maxsize=8)
def _call(target: Callable, base: Path, folder: Path) -> dict[str, np.ndarray]:
    import numpy as np

    function = load_callable(target, base, subject="data", error=DataError)
    try:
        result: Any = function()
    except AuditorError:
        raise
    except Exception as error:
        raise DataError(f"{target} raised {type(error).__name__}: {error}") from error
    if isinstance(result, tuple) and len(result) == 2:
        result = {"x": result[0], "y": result[1]}
    if not isinstance(result, dict):
        raise DataError(
            f"{target} returned {type(result).__name__}, expected (x, y)", remedy="return arrays [rows, ...] and [rows]"
        )
    return {str(name): np.asarray(value) for name, value in result.items()}


def _digest(arrays: dict[str, np.ndarray]) -> str:
    import numpy as np

    state = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        state.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        plain = array.astype(str) if array.dtype == object else array
        state.update(np.ascontiguousarray(plain).tobytes())
    return state.hexdigest()
