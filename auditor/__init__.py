"""auditor decides whether a neural-network classifier uses appropriate concepts appropriately.

    results = auditor.check("specs/eurosat.yaml", "model.pt", out="reports/x")
    model = auditor.load_model("specs/eurosat.yaml", "model.pt")

Importing this imports neither torch nor pydantic; the functions bring what they need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.audit import check, load_model

__version__ = "0.1.0"
__all__ = ["__version__", "check", "load_model"]

_LAZY = {"check": "auditor.audit", "load_model": "auditor.audit"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
