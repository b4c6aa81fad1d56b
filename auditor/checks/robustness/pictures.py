"""The pictures of robustness: proved, open and refuted shares by radius and class, and the rows closest to the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from auditor.records import AnyEvidence, Axis, Bars, Column, Curve, Histogram, ImageGrid, Mark, Series, Table, Tile
from auditor.statistics import clopper_pearson

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from auditor.checks.robustness.attacked import AttackedRobustness, Shown
    from auditor.checks.robustness.certified import CertifiedRobustness
    from auditor.checks.robustness.certifying import Narrowest
    from auditor.checks.robustness.judgement import Outcome
    from auditor.methods.robustness import Bounds

BEYOND = 3.0
"""How far past the check's radius the curve goes, as a multiple of it."""
CURVE_POINTS = 61
PRINTED_CLASSES = 20


class Pictures(NamedTuple):
    evidence: tuple[AnyEvidence, ...]
    tables: dict[str, pa.Table]
    images: dict[str, np.ndarray]


def certified_pictures(
    check: CertifiedRobustness,
    outcome: Outcome,
    *,
    bounds: Bounds,
    narrowest: Narrowest,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> Pictures:
    """Curve, bars, smallest radii and their histogram, and each layer's bound."""
    evidence: list[AnyEvidence] = []
    tables: dict[str, pa.Table] = {}
    images: dict[str, np.ndarray] = {}
    if len(index):
        curve, tables["radii"] = _curve(check, outcome)
        bars, tables["classes"] = _class_bars(check, outcome, classes)
        histogram, tables["radius"] = _radius_histogram(check, outcome)
        evidence += [curve, bars]
        grid, images = _narrowest_grid(check, outcome, narrowest, index, classes, input_range)
        if grid is not None:
            evidence.append(grid)
        evidence.append(histogram)
    layers, tables["layers"] = _layers(bounds)
    return Pictures((*evidence, layers), tables, images)


def attacked_pictures(
    check: AttackedRobustness,
    *,
    label: np.ndarray,
    correct: np.ndarray,
    broken_at: np.ndarray,
    attacked: np.ndarray,
    shown: Shown,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> Pictures:
    """The share still right against the radius, bars by class, and the nearest flips beside their originals."""
    import numpy as np
    import pyarrow as pa

    if not len(index):
        return Pictures((), {}, {})
    radii = np.linspace(0, check.epsilon, CURVE_POINTS)
    standing = (broken_at[None, :] > radii[:, None]).mean(1)
    curve = Curve(
        id="radii",
        caption=f"{standing[-1]:.3f} of the rows stay right up to {check.epsilon:g}.",
        detail="A row falls at the distance of the nearest flip found; the true curve lies on or below this one.",
        alt=f"Share still right falls from {standing[0]:.3f} at radius 0 to {standing[-1]:.3f} at {check.epsilon:g}.",
        x=_radius_axis(check, check.epsilon),
        y=Axis(label="share of rows", low=0.0, high=1.0),
        series=(Series(label="not broken", x="epsilon", y="standing"),),
        marks=_threshold_marks(check, "accuracy_under_attack"),
        step=True,
    )
    rows = _by_class(label, classes, check.confidence, broken_at > check.epsilon)
    rows["broken"] = _shares(label, rows, classes, correct & (broken_at <= check.epsilon))
    bars = Bars(
        id="classes",
        caption=f"{rows['class'][0]} withstands least, with {rows['share'][0]:.3f} of its rows not broken.",
        detail="A line in each bar is the class's own interval.",
        alt=f"Share not broken: {_listed(rows)}.",
        x=Axis(label="share of the class", low=0.0, high=1.0),
        label="class",
        values=("share", "broken"),
        names=("not broken", "broken"),
        low="low",
        high="high",
    )
    tables = {"radii": pa.table({"epsilon": radii, "standing": standing}), "classes": pa.table(rows)}
    grid, images = _flips(shown, label, broken_at, attacked, index, classes, input_range)
    return Pictures((curve, bars) if grid is None else (curve, bars, grid), tables, images)


def _curve(check: CertifiedRobustness, outcome: Outcome) -> tuple[Curve, pa.Table]:
    """Stacked shares against ε; flips count from their distance on, and were sought up to the check's ε only."""
    import numpy as np
    import pyarrow as pa

    radii = np.linspace(0, BEYOND * check.epsilon, CURVE_POINTS)
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
        ),
        alt=(
            f"Stacked shares by radius from 0 to {radii[-1]:.3g}: right without perturbation {clean:.3f}; "
            f"at {check.epsilon:g} certified {proved:.3f}, undecided {held - proved:.3f}, broken {clean - held:.3f}; "
            f"certified at {radii[-1]:.3g} {certified[-1]:.3f}."
        ),
        x=_radius_axis(check, float(radii[-1])),
        y=Axis(label="share of rows", low=0.0, high=1.0),
        series=(
            Series(label="certified", x="epsilon", y="certified"),
            Series(label="undecided", x="epsilon", y="undecided", style="second"),
            Series(label="broken", x="epsilon", y="broken", style="third"),
        ),
        marks=(
            Mark(axis="x", value=check.epsilon, label=f"ε = {check.epsilon:g}", kind="observed"),
            Mark(axis="y", value=clean, label="right at ε = 0"),
            *_threshold_marks(check, "vra"),
        ),
        stacked=True,
    )
    table = pa.table(
        {"epsilon": radii, "certified": certified, "undecided": standing, "broken": np.full_like(radii, clean)}
    )
    return curve, table


def _class_bars(check: CertifiedRobustness, outcome: Outcome, classes: tuple[str, ...]) -> tuple[Bars, pa.Table]:
    import pyarrow as pa

    proved = outcome.proved(check.epsilon)
    rows = _by_class(outcome.label, classes, check.confidence, proved)
    rows["undecided"] = _shares(outcome.label, rows, classes, outcome.standing(check.epsilon) & ~proved)
    rows["correct"] = _shares(outcome.label, rows, classes, outcome.correct)
    bars = Bars(
        id="classes",
        caption=f"{rows['class'][0]} carries least, with {rows['share'][0]:.3f} of its rows certified.",
        detail="A line in each bar is the class's own interval; the tick is its share right without perturbation.",
        alt=f"Share certified: {_listed(rows)}.",
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
            detail=f"{below:,} rows fall short of {check.epsilon:g}; 0 means wrong, or not certifiable at all.",
            alt=f"Certified radii from 0 to {finite.max(initial=0.0):.3g}, median {median:.3g}.",
            wide=True,
            x=_radius_axis(check, None),
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
                "kind": pa.array([layer.kind for layer in listed], pa.string()),
                "lipschitz_upper": pa.array([layer.lipschitz_upper for layer in listed], pa.float64()),
            }
        ),
    )


def _narrowest_grid(
    check: CertifiedRobustness,
    outcome: Outcome,
    narrowest: Narrowest,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> tuple[ImageGrid | None, dict[str, np.ndarray]]:
    if narrowest.inputs.ndim not in (3, 4) or not len(narrowest.positions):
        return None, {}
    tiles, images = [], {}
    for place, position in enumerate(narrowest.positions.tolist()):
        name = f"narrow-{place}"
        images[name] = as_image(narrowest.inputs[place].numpy(), input_range)
        radius, proved = outcome.vra_radius[position], bool(outcome.proved(check.epsilon)[position])
        broken = bool(outcome.broken_at[position] <= check.epsilon)
        tiles.append(
            Tile(
                image=name,
                title=f"{classes[outcome.label[position]]}: {radius:.3g}",
                note=f"row {index[position]}, {'certified' if proved else 'broken' if broken else 'undecided'}",
                status="holds" if proved else "breaks" if broken else "neutral",
            )
        )
    said = "; ".join(f"{tile.title} ({tile.note})" for tile in tiles)
    grid = ImageGrid(
        id="narrowest",
        caption="Rows that are right by the smallest margins.",
        detail=f"Under each its class and the radius up to which that is certified; {check.epsilon:g} is asked for.",
        alt=f"Inputs with the smallest certified radii: {said}.",
        wide=True,
        tiles=tuple(tiles),
    )
    return grid, images


def _flips(
    shown: Shown,
    label: np.ndarray,
    broken_at: np.ndarray,
    attacked: np.ndarray,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> tuple[ImageGrid | None, dict[str, np.ndarray]]:
    if shown.inputs.ndim not in (3, 4) or not len(shown.positions):
        return None, {}
    tiles, images = [], {}
    for place, position in enumerate(shown.positions.tolist()):
        for kind, source in (("before", shown.inputs), ("after", shown.points)):
            images[f"{kind}-{place}"] = as_image(source[place].numpy(), input_range)
        distance = broken_at[position]
        tiles += [
            Tile(
                image=f"before-{place}",
                title=classes[label[position]],
                note=f"row {index[position]}",
                status="holds",
            ),
            Tile(
                image=f"after-{place}",
                title=f"read as {classes[attacked[position]]}",
                note=f"moved {distance:.3g}",
                status="breaks",
            ),
        ]
    pairs = zip(tiles[::2], tiles[1::2], strict=True)
    said = "; ".join(f"{before.title} ({before.note}) {after.title}, {after.note}" for before, after in pairs)
    grid = ImageGrid(
        id="flips",
        caption="The nearest inputs that the model reads differently.",
        detail="Left the row, right the point the attack found.",
        alt=f"Pairs of original and attacked inputs: {said}.",
        wide=True,
        tiles=tuple(tiles),
    )
    return grid, images


def _listed(rows: dict[str, list[Any]]) -> str:
    return ", ".join(f"{name} {share:.3f}" for name, share in zip(rows["class"], rows["share"], strict=True))


def _by_class(
    label: np.ndarray, classes: tuple[str, ...], confidence: float, holds: np.ndarray
) -> dict[str, list[Any]]:
    """Share of each class that `holds`, with its exact interval, lowest first; the lowest `PRINTED_CLASSES` of them."""
    rows = []
    for number, name in enumerate(classes):
        mine = label == number
        if mine.any():
            low, high = clopper_pearson(int(holds[mine].sum()), int(mine.sum()), confidence=confidence)
            rows.append((float(holds[mine].mean()), name, low, high, int(mine.sum())))
    rows = sorted(rows)[:PRINTED_CLASSES]
    return {
        "class": [row[1] for row in rows],
        "share": [row[0] for row in rows],
        "low": [row[2] for row in rows],
        "high": [row[3] for row in rows],
        "rows": [row[4] for row in rows],
    }


def _shares(label: np.ndarray, rows: dict[str, list[Any]], classes: tuple[str, ...], holds: np.ndarray) -> list[float]:
    return [float(holds[label == classes.index(name)].mean()) for name in rows["class"]]


def _radius_axis(check: Any, high: float | None) -> Axis:
    norm = {"l2": "ℓ₂", "linf": "ℓ∞"}[check.norm]
    return Axis(label=f"radius ε, {norm} norm", low=0.0, high=high)


def _threshold_marks(check: Any, metric: str) -> tuple[Mark, ...]:
    threshold = check.threshold
    limit = threshold.at_least if threshold.at_least is not None else threshold.at_most
    if threshold.metric != metric or limit is None:
        return ()
    return (Mark(axis="y", value=limit, label=f"required {limit:g}", kind="threshold"),)


def as_image(values: np.ndarray, input_range: tuple[float, float] | None) -> np.ndarray:
    """uint8 [height, width] or [height, width, 3] of one input [channels, height, width] or [height, width]."""
    import numpy as np

    low, high = input_range or (float(values.min()), float(values.max()))
    if values.ndim == 3:
        values = np.moveaxis(values, 0, -1) if len(values) == 3 else values.mean(axis=0)
    scaled = (values - low) / (high - low if high > low else 1.0)
    return (255 * scaled.clip(0, 1)).round().astype(np.uint8)
