"""A finding's metrics as tables: single ones with their meaning, families such as `rmia.auc` crossed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.records import Finding
from auditor.report import words
from auditor.report.glossary import METRICS
from auditor.report.pictures import MOST_ROWS
from auditor.report.view import Cell, Heading, Sheet, Tally

INTERVAL = "_interval"


def sheets(finding: Finding) -> tuple[Sheet, ...]:
    """Every metric of the finding in exactly one table, but for those that are one number a name (`tallies`)."""
    metrics = finding.metrics
    families = list(dict.fromkeys(name.partition(".")[0] for name in metrics if "." in name))
    crossed = {name: value for name, value in metrics.items() if "." in name}
    single = {name: value for name, value in metrics.items() if "." not in name and not isinstance(value, Mapping)}
    own = None if _headline(finding, single) else _single(finding, single)
    made = [own, _families(crossed, families)]
    made += [_crossed(keys, columns) for keys, columns in _keyed(finding) if len(columns) > 1]
    return tuple(sheet for sheet in made if sheet is not None and sheet.rows)


def _headline(finding: Finding, metrics: Mapping[str, Any]) -> bool:
    """Whether `metrics` say nothing but the finding's own value."""
    names = {name.removesuffix(INTERVAL) for name in metrics}
    return names == {finding.metric} and metrics.get(finding.metric) == finding.value


def tallies(finding: Finding) -> tuple[Tally, ...]:
    """Metrics that are one number a name, such as the accuracy of each class."""
    made = []
    for keys, columns in _keyed(finding):
        if len(columns) == 1:
            ((name, values),) = columns.items()
            items = tuple((str(key), _value(values[key])) for key in keys[:MOST_ROWS])
            if len(keys) > MOST_ROWS:
                items += ((f"{len(keys) - MOST_ROWS} more", "in results.json"),)
            made.append(Tally(_titled(name), items))
    return tuple(made)


def in_a_line(finding: Finding) -> str:
    """The single numbers beside the finding's own, on one line: "clean accuracy 0.879, rejection rate 0.217"."""
    told = {finding.metric, "fraction"}
    parts = [
        f"{words.metric_name(name)} {_value(value)}"
        for name, value in finding.metrics.items()
        if name not in told
        and "." not in name
        and not name.endswith(INTERVAL)
        and not isinstance(value, (Mapping, list, tuple))
    ]
    return ", ".join(parts)


def _keyed(finding: Finding) -> list[tuple[tuple[str, ...], dict[str, Mapping[str, Any]]]]:
    """Metrics that are maps, those with the same keys together."""
    groups: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for name, value in finding.metrics.items():
        if not isinstance(value, Mapping) or "." in name:
            continue
        if all(not isinstance(item, Mapping) for item in value.values()):
            groups.setdefault(tuple(value), {})[name] = value
        else:
            for key, inner in value.items():
                inner = inner if isinstance(inner, Mapping) else {"": inner}
                groups.setdefault(tuple(inner), {})[f"{name} {key}"] = inner
    return list(groups.items())


def _titled(name: str) -> str:
    title = words.metric_name(name)
    return title[:1].upper() + title[1:]


def _single(finding: Finding, metrics: Mapping[str, Any]) -> Sheet | None:
    intervals = {name for name in metrics if name.endswith(INTERVAL) and name.removesuffix(INTERVAL) in metrics}
    names = [name for name in metrics if name not in intervals]
    own = {finding.metric, "fraction"} if finding.interval is not None else set()
    has_interval = bool(intervals) or any(name in own and metrics[name] == finding.value for name in names)
    meanings = [METRICS.get(name, "") for name in names]
    columns = [Heading("Metric"), Heading("Value", True)]
    columns += [Heading("Interval", True)] if has_interval else []
    columns += [Heading("Meaning")] if any(meanings) else []
    rows = []
    for name, meaning in zip(names, meanings, strict=True):
        cells = [Cell(name, "code"), Cell(_value(metrics[name]))]
        if has_interval:
            judged = name in own and metrics[name] == finding.value
            bounds = finding.interval if judged else metrics.get(name + INTERVAL)
            cells.append(Cell(words.interval(bounds) if bounds is not None else ""))
        if any(meanings):
            cells.append(Cell(meaning, "quiet"))
        rows.append(tuple(cells))
    return Sheet("Numbers", tuple(columns), tuple(rows))


def _families(metrics: Mapping[str, Any], families: Sequence[str]) -> Sheet | None:
    """`rmia.auc` in row rmia, column AUC; intervals stand under their number's heading."""
    if not metrics:
        return None
    kinds = list(dict.fromkeys(name.partition(".")[2] for name in metrics))
    shown = [kind for kind in kinds if not kind.endswith(INTERVAL)]
    columns = [Heading("")]
    for kind in shown:
        columns.append(Heading(words.metric_name(kind), True))
        if kind + INTERVAL in kinds:
            columns.append(Heading("interval", True))
    rows = []
    for family in families:
        cells = [Cell(family, "code")]
        for kind in shown:
            cells.append(Cell(_value(metrics.get(f"{family}.{kind}"))))
            if kind + INTERVAL in kinds:
                bounds = metrics.get(f"{family}.{kind}{INTERVAL}")
                cells.append(Cell(words.interval(bounds) if bounds is not None else words.DASH, "quiet"))
        rows.append(tuple(cells))
    return _narrow(Sheet("Side by side", tuple(columns), tuple(rows)))


def _narrow(sheet: Sheet) -> Sheet:
    """A table of more than eight columns, turned on its side."""
    if len(sheet.columns) <= 8:
        return sheet
    rows = []
    headings = [heading.label for heading in sheet.columns]
    k = 1
    while k < len(headings):
        with_interval = k + 1 < len(headings) and headings[k + 1] == "interval"
        cells = [Cell(headings[k], "name")]
        for row in sheet.rows:
            bounds = f" {row[k + 1].text}" if with_interval and row[k + 1].text != words.DASH else ""
            cells.append(Cell(row[k].text + bounds))
        rows.append(tuple(cells))
        k += 2 if with_interval else 1
    columns = (Heading(""), *(Heading(row[0].text, True) for row in sheet.rows))
    return Sheet(sheet.caption, columns, tuple(rows))


def _crossed(keys: Sequence[str], columns: Mapping[str, Mapping[str, Any]]) -> Sheet:
    intervals = {name for name in columns if name.endswith(INTERVAL) and name.removesuffix(INTERVAL) in columns}
    shown = [name for name in columns if name not in intervals]
    headings = [Heading("")]
    for name in shown:
        headings.append(Heading(words.metric_name(name), True))
        if name + INTERVAL in columns:
            headings.append(Heading("interval", True))
    rows = []
    for key in keys[:MOST_ROWS]:
        cells = [Cell(str(key), "name")]
        for name in shown:
            cells.append(Cell(_value(columns[name].get(key))))
            if name + INTERVAL in columns:
                cells.append(Cell(words.interval(columns[name + INTERVAL].get(key)), "quiet"))
        rows.append(tuple(cells))
    rest = f"{len(keys) - MOST_ROWS} more in results.json" if len(keys) > MOST_ROWS else ""
    caption = _titled(shown[0]) if len(shown) == 1 else "In detail"
    return _narrow(Sheet(caption, tuple(headings), tuple(rows), rest))


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return (
            words.interval(value)
            if len(value) == 2
            else words.listed([words.number(item) for item in value[:12]], "and")
        )
    if isinstance(value, Mapping):
        return words.plainly(value)
    return words.number(value)
