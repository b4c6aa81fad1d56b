"""From a file to a document, or to all that is wrong with it in one pass."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from auditor.digest import digest
from auditor.errors import SpecErrors
from auditor.spec.agreement import contradictions, known_attributes, known_frameworks, regions_within
from auditor.spec.blame import report
from auditor.spec.check import Check, unknown_metric
from auditor.spec.class_sets import Collection, class_sets
from auditor.spec.composing import Problems, extended, is_file, read_all, substituted, with_defaults
from auditor.spec.document import SECTIONS, Document
from auditor.spec.names import Declared
from auditor.spec.problem import suggestion
from auditor.spec.sections import Defaults, Gate, Head, ModelSection, ReportSection, SourceSection, Waiver
from auditor.spec.training import Training
from auditor.spec.tree import Mark, Node

M = TypeVar("M", bound=BaseModel)
CHECK_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]*(/[a-z0-9][a-z0-9_.+-]*)*")
"""Each part begins with a letter or digit, so that `__` for `/` in a folder's name can be read back."""
COMMON = frozenset(Check.model_fields) - {"name", "type", "require", "budget"}
HEAD = ("auditor", "name", "purpose", "risk_tier")


def load(path: Path, types: Mapping[str, type[Check]]) -> Document:
    """The spec in file `path`, whose checks are of `types`. Raises SpecErrors with every problem found."""
    path = Path(path)
    problems = Problems()
    if not is_file(path):
        problems.add((path.as_posix(), 1, 1), "missing-file", "the spec does not exist", "correct the path")  # pyright: ignore
        raise SpecErrors(problems)
    root, text, files = read_all(path, problems)
    root = substituted(root, problems)
    document = _Reader(root, path, types, problems).document(text, files)
    if problems or document is None:
        raise SpecErrors(list(problems))
    return document


class _Reader:
    def __init__(self, root: Node, path: Path, types: Mapping[str, type[Check]], problems: Problems) -> None:
        self.root, self.path, self.types, self.problems = root, path, types, problems

    def document(self, text: str, files: tuple[Path, ...]) -> Document | None:
        root, problems = self.root, self.problems
        for key in root.value:
            if key not in SECTIONS:
                problems.add(root.keys[key], "unknown-key", f"{key!r} is no section", suggestion(key, SECTIONS))
        for node in root.scalars():
            if not _finite(node.value):
                problems.add(node.mark, "out-of-range", "a number in a spec is finite", alone=True)
        head = self._model(Head, root.without(*(key for key in root.value if key not in HEAD)), Declared())
        for key in ("model", "data", "checks"):
            if root.get(key) is None:
                problems.add(root.mark, "missing-key", f"section {key!r} is missing", f"add `{key}:`")
        model = self._section("model", ModelSection, Declared())
        classes = None if model is None else model.classes
        sets: dict[str, Collection] = {}
        declared_sets = root.get("sets")
        if declared_sets is not None and classes is not None:
            named: list[Path] = []
            sets = class_sets(declared_sets, classes, self.path.parent, problems, named)
            files = tuple(dict.fromkeys((*files, *named)))
        data = self._sources()
        declared = Declared(classes, self._keys("sets"), self._keys("data"))
        training = self._section("training", Training, declared)
        defaults = self._section("defaults", Defaults, declared) or Defaults()
        checks, places = self._checks(declared, data, None if model is None else tuple(model.input.shape))
        gate = self._section("gate", Gate, declared) or Gate()
        waivers = self._waivers(declared)
        rendering = self._section("report", ReportSection, declared) or ReportSection()
        known_frameworks(rendering, root, problems)
        if problems or head is None or model is None:
            return None
        return Document(
            path=self.path,
            name=head.name,
            purpose=head.purpose,
            risk_tier=head.risk_tier,
            model=model,
            data=data,
            training=training,
            sets=sets,
            defaults=defaults,
            checks=checks,
            gate=gate,
            waivers=waivers,
            report=rendering,
            sha256=digest(root.plain()),
            text=text,
            places=places,
            files=files,
        )

    def _keys(self, section: str) -> tuple[str, ...]:
        node = self.root.get(section)
        return tuple(node.value) if node is not None and node.is_map else ()

    def _section(self, key: str, kind: type[M], declared: Declared) -> M | None:
        node = self.root.get(key)
        return None if node is None else self._model(kind, node, declared)

    def _model(self, kind: type[M], node: Node, declared: Declared) -> M | None:
        try:
            return kind.model_validate_json(_json(node), strict=True, context=declared)
        except ValidationError as error:
            report(error, node, kind, self.problems)
            if issubclass(kind, Check):
                self._beyond(error, kind, node, declared)
            return None

    def _beyond(self, error: ValidationError, kind: type[Check], node: Node, declared: Declared) -> None:
        """What is wrong with a check beside its common fields: pydantic looks no further than the first of either."""
        blamed = {str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"]}
        if blamed and blamed <= COMMON:
            try:
                kind.model_validate_json(_json(node.without(*blamed)), strict=True, context=declared)
            except ValidationError as further:
                report(further, node, kind, self.problems)

    def _sources(self) -> dict[str, SourceSection]:
        node = self.root.get("data")
        if node is None:
            return {}
        if not node.is_map:
            self.problems.add(node.mark, "wrong-type", "data is a map of names to sources")
            return {}
        read = {name: self._model(SourceSection, source, Declared()) for name, source in node.items()}
        return {name: source for name, source in read.items() if source is not None}

    def _checks(
        self, declared: Declared, data: Mapping[str, SourceSection], shape: tuple[int, ...] | None
    ) -> tuple[dict[str, Check], dict[str, Mark]]:
        node = self.root.get("checks")
        if node is None:
            return {}, {}
        if not node.is_map:
            self.problems.add(node.mark, "wrong-type", "checks is a map of names to checks")
            return {}, {}
        if not node.value:
            self.problems.add(node.mark, "missing-key", "no check is stated", "add one below `checks:`")
        for name in node.value:
            if not CHECK_NAME.fullmatch(name) or "__" in name:
                self.problems.add(
                    node.keys[name],
                    "bad-name",
                    f"{name!r} cannot name a check",
                    "use small letters, digits, . + - _ and /, without __",
                )
        checks: dict[str, Check] = {}
        for name, body in extended(node, self.problems).items():
            check = self._check(name, with_defaults(body, self.root.get("defaults")), declared, node)
            if check is not None:
                checks[name] = check
                known_attributes(check, body, data, self.problems)
                if shape is not None:
                    regions_within(check, body, shape, self.problems)
        contradictions(checks, node, self.problems)
        return checks, {name: node.keys[name] for name in checks}

    def _check(self, name: str, body: Node, declared: Declared, checks: Node) -> Check | None:
        kind = body.get("type")
        if kind is None:
            remedy = "add `type: ...`, or `extends` another check"
            self.problems.add(body.mark, "missing-key", f"check {name!r} has no type", remedy)
            return None
        if not isinstance(kind.value, str) or kind.value not in self.types:
            what = f"no check type is named {kind.plain()!r}"
            self.problems.add(kind.mark, "unknown-type", what, suggestion(str(kind.plain()), self.types))
            return None
        if body.get("name") is not None:
            self.problems.add(body.keys["name"], "unknown-key", "'name' is not known here", "the key is the name")
            return None
        self._metric(body, self.types[kind.value])
        named = Node({**body.value, "name": Node(name, checks.keys[name])}, body.mark, body.keys)
        check = self._model(self.types[kind.value], named, declared)
        if check is not None and "over" in type(check).model_fields and check.over is None:
            what = f"check {name!r} does not say over which rows"
            self.problems.add(body.mark, "missing-key", what, "add `over: ...` here or to `defaults`")
            return None
        return check

    def _metric(self, body: Node, kind: type[Check]) -> None:
        """The metric's name, which pydantic judges only where all fields of the check are in order."""
        for side in ("require", "budget"):
            stated = body.get(side)
            metric = None if stated is None else stated.get("metric")
            if (
                metric is not None
                and isinstance(metric.value, str)
                and kind.metrics
                and metric.value not in kind.metrics
            ):
                what, remedy = unknown_metric(str(body.value["type"].value), metric.value, kind.metrics)
                self.problems.add(metric.mark, "unknown-metric", what, remedy)

    def _waivers(self, declared: Declared) -> tuple[Waiver, ...]:
        node = self.root.get("waivers")
        if node is None:
            return ()
        if not node.is_list:
            self.problems.add(node.mark, "wrong-type", "waivers is a list", "write `- {check: ..., reason: ...}`")
            return ()
        names = self._keys("checks")
        waivers = []
        for item in node.value:
            waiver = self._model(Waiver, item, declared)
            if waiver is None:
                continue
            if waiver.check not in names:
                what = f"no check is named {waiver.check!r}"
                self.problems.add(item.value["check"].mark, "unknown-check", what, suggestion(waiver.check, names))
            waivers.append(waiver)
        return tuple(waivers)


def _finite(value: Any) -> bool:
    """False for a number that is no finite float, a whole number beyond the largest among them."""
    try:
        return not isinstance(value, (int, float)) or math.isfinite(value)
    except OverflowError:
        return False


def _json(node: Node) -> str:
    return json.dumps(node.plain(), ensure_ascii=False)
