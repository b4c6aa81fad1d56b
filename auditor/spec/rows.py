"""Which rows a check looks at: a source, a slice of it, and a filter that never sees a result."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from auditor.sources.rows import parse_slice as parse_slice
from auditor.spec.names import ClassName, SourceName
from auditor.spec.problem import problem


def accepting_text(schema: dict[str, Any]) -> None:
    """Lets the JSON Schema of a model take its short form, a single string, as well."""
    whole = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string"}, whole]


def _slice(value: str) -> str:
    try:
        parse_slice(value)
    except ValueError as error:
        raise problem("bad-slice", str(error), remedy="write start:stop, such as ':4500' or '4500:'") from None
    return value


SliceText = Annotated[str, AfterValidator(_slice)]


class Rows(BaseModel):
    """Rows of a named source: `test`, or `{data: test, rows: ":4500"}` with a Python slice (step allowed)."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=accepting_text)

    data: SourceName
    rows: SliceText | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"data": value} if isinstance(value, str) else value

    def __str__(self) -> str:
        return self.data if self.rows is None else f"{self.data} rows {self.rows}"


class Where(BaseModel):
    """A filter on the row, before any check has run: its label, the model's prediction, or declared attributes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: ClassName | tuple[ClassName, ...] | None = None
    prediction: ClassName | tuple[ClassName, ...] | None = None
    correct: bool | None = None
    attributes: dict[str, str | int | float | bool] = {}
