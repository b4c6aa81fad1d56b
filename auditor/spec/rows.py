"""Which rows a check looks at: a source, a slice of it, and a filter that never sees a result."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from auditor.sources.rows import parse_slice as parse_slice


class Rows(BaseModel):
    """Rows of a named source: `test`, or `{data: test, rows: ":4500"}` with a Python slice (step allowed)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    rows: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"data": value} if isinstance(value, str) else value

    @field_validator("rows")
    @classmethod
    def _slice(cls, value: str | None) -> str | None:
        if value is not None:
            parse_slice(value)
        return value

    def __str__(self) -> str:
        return self.data if self.rows is None else f"{self.data} rows {self.rows}"


class Where(BaseModel):
    """A filter on the row, before any check has run: its label, the model's prediction, or declared attributes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str | tuple[str, ...] | None = None
    prediction: str | tuple[str, ...] | None = None
    correct: bool | None = None
    attributes: dict[str, str | int | float | bool] = {}
