"""Drawings: placed by their data, well-formed whatever the data, with room between what they hold."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.records import Axis, Bars, Curve, Dumbbell, Finding, Heatmap, Histogram, Mark, Series, TaskRecord
from auditor.records.finding import EvidenceKind, Status
from auditor.report.figures.axes import Scale, tick_labels, ticks
from auditor.report.figures.bars import draw_bars, draw_dumbbell
from auditor.report.figures.canvas import Canvas
from auditor.report.figures.curve import draw_curve
from auditor.report.figures.heatmap import draw_heatmap
from auditor.report.figures.histogram import draw_histogram
from auditor.report.figures.layers import arrange, reduced
from auditor.report.figures.tasks import draw_tasks

SVG = "{http://www.w3.org/2000/svg}"
anything = st.floats(-1e12, 1e12) | st.sampled_from([math.nan, math.inf, -math.inf, None])
lists = st.lists(anything, min_size=0, max_size=30)


def root(canvas: Canvas) -> ElementTree.Element:
    """The drawing parsed again; no coordinate is NaN or infinite."""
    text = canvas.svg(standalone=True)
    assert "nan" not in text.replace("standard", "")
    assert "inf" not in text
    return ElementTree.fromstring(text)


@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e6), st.booleans())
def test_ticks_are_inside_distinct_and_few(low: float, factor: float, log: bool) -> None:
    high = low * factor
    found = ticks(low, high, log=log, room=5)
    assert 1 <= len(found) <= 14
    assert all(low * 0.99 <= tick <= high * 1.01 for tick in found)
    if not log:
        labels = tick_labels(found, Axis(label="x"))
        assert len(labels) == len(found)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.1, 1e3))
def test_a_scale_keeps_order_and_stays_between_its_ends(a: float, b: float, span: float) -> None:
    scale = Scale(a, a + span, 10, 300)
    assert 10 <= scale(b) <= 300 + 1e-9
    assert scale(b) <= scale(b + 1) + 1e-9


@settings(max_examples=40, deadline=None)
@given(lists, st.booleans(), st.sampled_from(["linear", "log"]))
def test_curves_of_anything(values: list[Any], stacked: bool, scale: Any) -> None:
    numbers = [math.nan if value is None else value for value in values]
    curve = Curve(
        id="c", caption="c", x=Axis(label="x", scale=scale), y=Axis(label="y"), stacked=stacked,
        series=(Series(label="a", x="x", y="y", low="y", high="y"), Series(label="b", x="x", y="y", style="second")),
        marks=(Mark(axis="x", value=1.0, label="one", kind="threshold"), Mark(axis="y", value=0.5, label="half")),
    )  # fmt: skip
    root(draw_curve(curve, {"x": numbers, "y": numbers}, id="c", title="c"))


@settings(max_examples=40, deadline=None)
@given(lists, st.sampled_from([None, "below", "above"]), st.booleans())
def test_histograms_of_anything(values: list[Any], hatch: Any, grouped: bool) -> None:
    histogram = Histogram(
        id="h", caption="h", x=Axis(label="x"), value="v", group="g" if grouped else None, hatch=hatch,
        marks=(Mark(axis="x", value=0.3, label="limit", kind="threshold"),),
    )  # fmt: skip
    columns = {"v": values, "g": ["a" if k % 2 else "b" for k in range(len(values))]}
    root(draw_histogram(histogram, columns, id="h", title="h"))


@settings(max_examples=40, deadline=None)
@given(lists)
def test_bars_dumbbells_and_heat_maps_of_anything(values: list[Any]) -> None:
    names = [f"class {k}" for k in range(len(values))]
    columns = {"name": names, "v": values, "w": values[::-1]}
    bars = Bars(id="b", caption="b", x=Axis(label="x"), label="name", values=("v",), low="v", high="w", tick="w")
    dumbbell = Dumbbell(
        id="d", caption="d", x=Axis(label="x"), label="name", start="v", end="w", start_name="a", end_name="b"
    )
    heat = Heatmap(id="m", caption="m", row="name", column="name", value="v", outlined=(("class 0", "class 1"),))
    root(draw_bars(bars, columns, id="b", title="b"))
    root(draw_dumbbell(dumbbell, columns, id="d", title="d"))
    root(draw_heatmap(heat, columns, id="m", title="m"))


def test_a_histogram_counts_its_values_and_splits_at_the_threshold() -> None:
    histogram = Histogram(
        id="h", caption="h", x=Axis(label="x", low=0, high=1), value="v", hatch="above", bins=10,
        marks=(Mark(axis="x", value=0.3, label="at most 0.3", kind="threshold"),),
    )  # fmt: skip
    drawn = root(draw_histogram(histogram, {"v": [0.1, 0.2, 0.3, 0.4, 0.9]}, id="h", title="h"))
    said = [text.text for text in drawn.iter(f"{SVG}text")]
    assert "3 within" in said
    assert "2 above" in said
    bars = [r for r in drawn.iter(f"{SVG}rect") if r.get("class") == "f-data"]
    assert len(bars) == 2 or len(bars) == 3


def test_values_at_the_threshold_are_drawn_on_its_right_side() -> None:
    histogram = Histogram(
        id="h", caption="h", x=Axis(label="x", low=0), value="v", hatch="below", bins=10,
        marks=(Mark(axis="x", value=0.3, label="at least 0.3", kind="threshold"),),
    )  # fmt: skip
    drawn = root(draw_histogram(histogram, {"v": [0.1, 0.3, 0.3, 0.3]}, id="h", title="h"))
    assert "3 within" in [text.text for text in drawn.iter(f"{SVG}text")]
    assert len([r for r in drawn.iter(f"{SVG}rect") if r.get("class") == "f-data"]) == 1


def test_bars_are_as_long_as_their_values() -> None:
    bars = Bars(id="b", caption="b", x=Axis(label="x", low=0, high=1), label="n", values=("v",))
    drawn = root(draw_bars(bars, {"n": ["a", "b"], "v": [0.25, 0.5]}, id="b", title="b"))
    lengths = [float(r.attrib["width"]) for r in drawn.iter(f"{SVG}rect") if r.get("class") == "f-data"]
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=0.02)


def test_what_is_not_drawn_is_said() -> None:
    names = [f"class {k}" for k in range(60)]
    columns = {"n": names, "v": [0.5] * 60}
    bars = Bars(id="b", caption="b", x=Axis(label="x"), label="n", values=("v",))
    heat = Heatmap(id="m", caption="m", row="n", column="n", value="v")
    assert "20 more rows are in the data file" in draw_bars(bars, columns, id="b", title="b").svg()
    assert "60 × 60 cells are in the data file" in draw_heatmap(heat, columns, id="m", title="m").svg()


def test_standalone_files_have_a_title_and_paper() -> None:
    canvas = Canvas(10, 10, "a <b> & c", id="x")
    canvas.text(1, 1, "<script>x</script>\x00")
    drawn = ElementTree.fromstring(canvas.svg(standalone=True))
    assert drawn[0].text == "a <b> & c"
    assert drawn[1].attrib["fill"] == "#ffffff"
    assert drawn[2].text == "<script>x</script> "


edges = st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda e: e[0] < e[1]), max_size=30)


@settings(max_examples=60)
@given(edges)
def test_nodes_stand_right_of_what_they_need_and_apart(pairs: set[tuple[int, int]]) -> None:
    nodes = [str(k) for k in range(12)]
    wanted = [(str(a), str(b)) for a, b in sorted(pairs)]
    layout = arrange(nodes, wanted, pitch=30.0)
    for source, target in wanted:
        assert layout.column(source) < layout.column(target)
        assert len(layout.lanes[source, target]) == layout.column(target) - layout.column(source) - 1
    for column in layout.columns:
        heights = [layout.at[node] for node in column]
        assert heights == sorted(heights)
        assert all(0 <= height <= layout.height for height in heights)
        boxes = [layout.at[node] for node in column if node in nodes]
        assert all(b - a >= 30.0 - 1e-6 for a, b in pairwise(boxes))


@settings(max_examples=60)
@given(edges)
def test_reduction_keeps_reachability_and_nothing_more(pairs: set[tuple[int, int]]) -> None:
    import networkx

    nodes = [str(k) for k in range(12)]
    wanted = [(str(a), str(b)) for a, b in sorted(pairs)]
    graph = networkx.DiGraph(wanted)
    assert set(reduced(nodes, wanted)) == set(networkx.transitive_reduction(graph).edges)


def test_the_task_graph_shows_every_task_once_and_judgements_as_checks() -> None:
    tasks = (
        TaskRecord(op="m:load", digest="a", seconds=1, cached=False, checks=("x", "y")),
        TaskRecord(op="m:logits", digest="b", seconds=2, cached=True, inputs=("a",), checks=("x", "y")),
        TaskRecord(op="m:judge", digest="c", seconds=0, cached=False, inputs=("b",), checks=("x",)),
        TaskRecord(op="m:judge", digest="d", seconds=0, cached=False, inputs=("b",), checks=("y",)),
    )
    findings = [
        Finding(check=c, type="x.y", status=Status.PASS, evidence_kind=EvidenceKind.MEASURED, claim="", metric="m")
        for c in ("x", "y")
    ]
    graph = draw_tasks(tasks, findings, ["x"], id="g", title="g")
    assert graph is not None
    canvas, left_out = graph
    assert left_out == 0
    said = [text.text for text in root(canvas).iter(f"{SVG}text")]
    assert said.count("load") == said.count("logits") == said.count("x") == said.count("y") == 1
    assert "judge" not in said
    assert "cached" in said


def test_a_graph_too_large_to_read_is_not_drawn() -> None:
    checks = [f"c{k}" for k in range(90)]
    tasks = tuple(TaskRecord(op="m:judge", digest=c, seconds=0, cached=False, checks=(c,)) for c in checks)
    findings = [
        Finding(check=c, type="x.y", status=Status.PASS, evidence_kind=EvidenceKind.MEASURED, claim="", metric="m")
        for c in checks
    ]
    assert draw_tasks(tasks, findings, [], id="g", title="g") is None
