"""What all records share: frozen, no unknown keys, non-finite numbers as strings."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

_WORDS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def _number(value: Any) -> Any:
    return _WORDS.get(value, value) if isinstance(value, str) else value


def _word(value: float) -> float | str:
    return value if math.isfinite(value) else {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")


Number = Annotated[float, BeforeValidator(_number), PlainSerializer(_word, when_used="json")]
"""A float; "inf", "-inf" and "nan" in JSON where it is not finite."""


class Record(BaseModel):
    """A frozen, versioned piece of an audit's results."""

    model_config = ConfigDict(frozen=True, extra="forbid")
