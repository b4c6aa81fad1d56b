"""Pictures of a certificate: proved, open and refuted shares by radius and class, and each layer's bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.checks.robustness.pictures.sets import sizes_bars, together_map
from auditor.checks.robustness.pictures.shared import Pictures, by_class, listed, radius_axis, shares, threshold_marks
from auditor.checks.robustness.pictures.tiles import conflicts_grid, narrowest_grid
from auditor.records import AnyEvidence, Axis, Bars, Column, Curve, Histogram, Mark, Series, Table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from auditor.checks.robustness.certified import CertifiedRobustness
    from auditor.checks.robustness.certifying import Narrowest
    from auditor.checks.robustness.judgement import Outcome
    from auditor.checks.robustness.separating import Conflicts
    from auditor.methods.robustness import Bounds

BEYOND = 3.0
"""How far past the check's radius the curve goes, as a multiple of it."""
CURVE_POINTS = 61


def certified_pictures(
    check: CertifiedRobustness,
    outcome: Outcome,
    *,
    bounds: Bounds,
    narrowest: Narrowest,
    conflicts: Conflicts,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
    sets: tuple[tuple[int, ...], ...],
) -> Pictures:
    """Curve, bars, smallest radii and their histogram, and each layer's bound; `sets` are those of an affinity."""
    evidence: list[AnyEvidence] = []
    tables: dict[str, pa.Table] = {}
    images: dict[str, np.ndarray] = {}
    if len(index):
        curve, tables["radii"] = _curve(check, outcome, conflicts)
        bars, tables["classes"] = _class_bars(check, outcome, classes)
        evidence += [curve, bars]
        if outcome.radii.shape[1] > 1:
            drawn, tables["sizes"] = sizes_bars(check, outcome)
            evidence.append(drawn)
        if sets and outcome.certified.any():
            drawn, tables["together"] = together_map(outcome, classes, sets)
            evidence.append(drawn)
        grid, images = narrowest_grid(check, outcome, narrowest, index, classes, input_range)
        if grid is not None:
            evidence.append(grid)
        pairs, more = conflicts_grid(check, outcome, conflicts, index, classes, input_range)
        if pairs is not None:
            evidence.append(pairs)
            images |= more
        if outcome.proved_globally(check.epsilon).any() or not outcome.linear.any():
            # Radii of linear bounds are all ε, which no histogram need show.
            histogram, tables["radius"] = _radius_histogram(check, outcome)
            evidence.append(histogram)
    layers, tables["layers"] = _layers(bounds)
    return Pictures((*evidence, layers), tables, images)


def _curve(check: CertifiedRobustness, outcome: Outcome, conflicts: Conflicts) -> tuple[Curve, pa.Table]:
    """Stacked shares against ε; flips count from their distance on, and were sought up to the check's ε only."""
    import numpy as np
    import pyarrow as pa

    radii = np.linspace(0, BEYOND * check.epsilon, CURVE_POINTS)
    if outcome.linear.any():
        # What linear bounds prove ends at ε, and must not seem to fade out beyond.
        radii = np.sort(np.append(radii, (check.epsilon, np.nextafter(check.epsilon, np.inf))))
    certified = np.array([outcome.proved(radius).mean() for radius in radii])
    standing = np.array([outcome.standing(radius).mean() for radius in radii])
    clean = float(outcome.correct.mean())
    proved, held = outcome.proved(check.epsilon).mean(), outcome.standing(check.epsilon).mean()
    curve = Curve(
        id="radii",
        caption=f"At radius {check.epsilon:g}, {proved:.3f} of the rows are proved and {held - proved:.3f} undecided.",
        detail=(
            "Broken: an attack changed the label at that distance or nearer. "
            f"None was sought beyond {check.epsilon:g}: right of the line, undecided holds what an attack might break."
            f"{_linear_remark(check, outcome, 'count up to it only')}"
        ),
        alt=(
            f"Stacked shares by radius from 0 to {radii[-1]:.3g}: right without perturbation {clean:.3f}; "
            f"at {check.epsilon:g} certified {proved:.3f}, undecided {held - proved:.3f}, broken {clean - held:.3f}; "
            f"certified at {radii[-1]:.3g} {certified[-1]:.3f}."
        ),
        x=radius_axis(check, float(radii[-1])),
        y=Axis(label="share of rows", low=0.0, high=1.0),
        series=(
            Series(label="certified", x="epsilon", y="certified"),
            Series(label="undecided", x="epsilon", y="undecided", style="second"),
            Series(label="broken", x="epsilon", y="broken", style="third"),
        ),
        marks=(
            Mark(axis="x", value=check.epsilon, label=f"ε = {check.epsilon:g}", kind="observed"),
            Mark(axis="y", value=clean, label="right at ε = 0"),
            *threshold_marks(check, "vra"),
        ),
        stacked=True,
    )
    columns = {"epsilon": radii, "certified": certified, "undecided": standing, "broken": np.full_like(radii, clean)}
    if conflicts.within(float(radii[-1])) and conflicts.bounding:
        n = len(outcome.label)
        columns["ceiling"] = np.array([conflicts.ceiling(radius, n) for radius in radii])
        limit = Series(label="most for any classifier", x="epsilon", y="ceiling", style="reference")
        curve = curve.model_copy(update={"series": (*curve.series, limit)})
    return curve, pa.table(columns)


def _linear_remark(check: CertifiedRobustness, outcome: Outcome, what: str) -> str:
    """A sentence on the rows right by linear bounds, whose radius is the check's; empty where there are none."""
    count = int(outcome.proved_linearly(check.epsilon).sum())
    return f" Rows proved by linear bounds, {count:,} of them, {what}." if count else ""


def _class_bars(check: CertifiedRobustness, outcome: Outcome, classes: tuple[str, ...]) -> tuple[Bars, pa.Table]:
    import pyarrow as pa

    proved = outcome.proved(check.epsilon)
    rows = by_class(outcome.label, classes, check.confidence, proved)
    rows["undecided"] = shares(outcome.label, rows, classes, outcome.standing(check.epsilon) & ~proved)
    rows["correct"] = shares(outcome.label, rows, classes, outcome.correct)
    bars = Bars(
        id="classes",
        caption=f"{rows['class'][0]} carries least, with {rows['share'][0]:.3f} of its rows certified.",
        detail="A line in each bar is the class's own interval; the tick is its share right without perturbation.",
        alt=f"Share certified: {listed(rows)}.",
        x=Axis(label="share of the class", low=0.0, high=1.0),
        label="class",
        values=("share", "undecided"),
        names=("certified", "undecided"),
        low="low",
        high="high",
        tick="correct",
        tick_name="correct",
    )
    return bars, pa.table(rows)


def _radius_histogram(check: CertifiedRobustness, outcome: Outcome) -> tuple[Histogram, pa.Table]:
    import numpy as np
    import pyarrow as pa

    finite = outcome.vra_radius[np.isfinite(outcome.vra_radius)]
    below = int((finite < check.epsilon).sum())
    median = float(np.median(outcome.vra_radius))
    return (
        Histogram(
            id="radius",
            caption=f"Half of the rows are certified right up to {median:.3g} or more.",
            detail=f"{below:,} rows fall short of {check.epsilon:g}; 0 means wrong, or not certifiable at all."
            f"{_linear_remark(check, outcome, f'stand at {check.epsilon:g}, whatever more they might keep')}",
            alt=f"Certified radii from 0 to {finite.max(initial=0.0):.3g}, median {median:.3g}.",
            wide=True,
            x=radius_axis(check, None),
            value="vra_radius",
            marks=(Mark(axis="x", value=check.epsilon, label=f"ε = {check.epsilon:g}", kind="threshold"),),
            hatch="below",
        ),
        pa.table({"vra_radius": finite}),
    )


def _layers(bounds: Bounds) -> tuple[Table, pa.Table]:
    import pyarrow as pa

    listed = [layer for layer in bounds.layers if layer.lipschitz_upper != 1.0]
    return (
        Table(
            id="layers",
            caption="What each layer contributes.",
            detail="Their product limits how fast any logit can change; layers of constant 1 are left out.",
            alt="Table of Lipschitz bounds by layer.",
            columns=(
                Column(name="layer", label="Layer"),
                Column(name="kind", label="Type"),
                Column(name="lipschitz_upper", label="Bound", format=".6g"),
            ),
        ),
        pa.table(
            {
                "layer": pa.array([layer.name.removeprefix("network.") for layer in listed], pa.string()),
                "kind": pa.array(["assumed" if layer.assumed else layer.kind for layer in listed], pa.string()),
                "lipschitz_upper": pa.array([layer.lipschitz_upper for layer in listed], pa.float64()),
            }
        ),
    )
