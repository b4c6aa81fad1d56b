"""The pictures of a criterion: best, median and worst row with overlay and region; the metric's histogram; features."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from auditor.checks.common.images import as_image
from auditor.checks.influence import wording
from auditor.checks.influence.tally import Tally
from auditor.records import AnyEvidence, Axis, Bars, Histogram, ImageGrid, Mark, Tile
from auditor.terms import AllOf, AnyOf, Border, Box, Not, Region

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from auditor.checks.influence.criterion import ExplanationCriterion, Shown

PRINTED_FEATURES = 15


class Pictures(NamedTuple):
    evidence: tuple[AnyEvidence, ...]
    tables: dict[str, pa.Table]
    images: dict[str, np.ndarray]


def pictures(
    check: ExplanationCriterion,
    *,
    values: np.ndarray,
    found: Tally,
    shown: Shown,
    index: np.ndarray,
    input_range: tuple[float, float] | None,
) -> Pictures:
    """Evidence with its tables and images."""
    import numpy as np
    import pyarrow as pa

    evidence: list[AnyEvidence] = []
    tables: dict[str, pa.Table] = {}
    images: dict[str, np.ndarray] = {}
    inputs = shown.inputs.numpy()
    if inputs.ndim in (3, 4) and len(inputs):
        grid, images = _examples(check, values, found, shown, index, input_range)
        evidence.append(grid)
    defined = values[np.isfinite(values)]
    if len(defined):
        evidence.append(_histogram(check, values, found, shown))
        tables["metric"] = pa.table({"value": defined})
    if shown.profile:
        bars, tables["profile"] = _profile(check, shown.profile)
        evidence.append(bars)
    return Pictures(tuple(evidence), tables, images)


def outlines(region: Region, height: int, width: int) -> tuple[tuple[int, int, int, int], ...]:
    """Boxes (top, left, height, width) whose lines show where `region` ends; none for masks and features."""
    match region:
        case Border(width=frame):
            return ((frame, frame, height - 2 * frame, width - 2 * frame),)
        case Box(box=box):
            return (box,)
        case Not(region=inner):
            return outlines(inner, height, width)
        case AnyOf(regions=several) | AllOf(regions=several):
            return tuple(box for each in several for box in outlines(each, height, width))
        case _:
            return ()


def _examples(
    check: ExplanationCriterion,
    values: np.ndarray,
    found: Tally,
    shown: Shown,
    index: np.ndarray,
    input_range: tuple[float, float] | None,
) -> tuple[ImageGrid, dict[str, np.ndarray]]:
    import numpy as np

    inputs, positions = shown.inputs.numpy(), shown.positions.numpy()
    height, width = inputs.shape[-2:]
    ranks = ["best", "median", "worst"] if check.demand.at_most is not None else ["worst", "median", "best"]
    ranks = {3: ranks, 2: [ranks[0], ranks[2]], 1: ["median"]}[len(positions)]
    boxes = () if check.demand.region is None else outlines(check.demand.region, height, width)
    maps = None if shown.magnitudes is None else shown.magnitudes.numpy()
    tiles, images = {}, {}
    for i, (rank, position) in enumerate(zip(ranks, positions, strict=True)):
        images[rank] = as_image(inputs[i], input_range)
        if maps is not None:
            top = float(np.quantile(maps[i], 0.995)) or float(maps[i].max()) or 1.0
            images[f"{rank}-overlay"] = (255 * (maps[i] / top).clip(0, 1)).round().astype(np.uint8)
        tiles[rank] = Tile(
            image=rank,
            overlay=None if maps is None else f"{rank}-overlay",
            boxes=boxes,
            title=f"{rank.capitalize()}: {values[position]:.3f}",
            note=f"row {index[position]}",
            status="holds" if found.holds[position] else "breaks",
        )
    ordered = [rank for rank in ("best", "median", "worst") if rank in tiles]
    said = "; ".join(f"{tiles[rank].title.lower()} ({tiles[rank].note})" for rank in ordered)
    size = wording.sized(check, check.unit)
    detail = f"The number is the {wording.measured(check)}."
    if maps is not None:
        outline = " The dashed line bounds the region." if boxes else ""
        detail = f"Left the input, right its {size}, brighter is more.{outline} {detail}"
    grid = ImageGrid(
        id="examples",
        caption=f"{', '.join(ordered).capitalize()} row.".replace("median, worst", "median and worst"),
        detail=detail,
        alt=f"Inputs with their {size}: {said}.",
        wide=True,
        tiles=tuple(tiles[rank] for rank in ordered),
    )
    return grid, images


def _histogram(check: ExplanationCriterion, values: np.ndarray, found: Tally, shown: Shown) -> Histogram:
    import numpy as np

    demand = check.demand
    defined = values[np.isfinite(values)]
    limit = demand.at_least if demand.at_least is not None else demand.at_most
    assert limit is not None
    breaking = len(defined) - found.holding
    marks = [Mark(axis="x", value=limit, label=wording.bound(demand), kind="threshold")]
    if demand.metric == "mass" and shown.region is not None:
        even = float(shown.region.double().mean())
        marks.append(Mark(axis="x", value=even, label=f"even spread {even:.3f}"))
    if demand.metric == "top_k_overlap" and shown.profile and demand.k:
        chance = demand.k / len(shown.profile)
        marks.append(Mark(axis="x", value=chance, label=f"by chance {chance:.3f}"))
    if demand.metric == "mass_lift":
        marks.append(Mark(axis="x", value=1.0, label="even spread"))
    side = "above" if demand.at_most is not None else "below"
    undefined = f", and {found.undefined} undefined" if found.undefined else ""
    what = wording.measured(check)
    return Histogram(
        id="metric",
        caption=f"{breaking} of {len(defined)} rows lie {side} the limit{undefined}.",
        detail=f"{what[0].upper()}{what[1:]}, one count a row.",
        alt=f"Histogram of the {what} over {len(defined)} rows: lowest {defined.min():.3f}, median "
        f"{np.median(defined):.3f}, highest {defined.max():.3f}; the limit is {wording.bound(demand)}.",
        x=Axis(label=what, low=0.0, high=None if demand.metric == "mass_lift" else 1.0),
        value="value",
        marks=tuple(marks),
        hatch=side,
    )


def _profile(check: ExplanationCriterion, profile: dict[str, float]) -> tuple[Bars, pa.Table]:
    import pyarrow as pa

    ranked = sorted(profile.items(), key=lambda item: (-item[1], item[0]))[:PRINTED_FEATURES]
    size = wording.sized(check, check.unit)
    noun = "feature" if check.slice.layer is None else "unit"
    bars = Bars(
        id="profile",
        caption=f"{ranked[0][0][:1].upper()}{ranked[0][0][1:]} has the largest mean share.",
        detail=f"Mean share of {size} by {noun}, the {len(ranked)} largest of {len(profile)}.",
        alt=f"Bars of the mean share of {size}: "
        + ", ".join(f"{name} {value:.3f}" for name, value in ranked[:3])
        + ".",
        x=Axis(label=f"mean share of {size}", low=0.0),
        label="name",
        values=("share",),
    )
    return bars, pa.table({"name": [name for name, _ in ranked], "share": [value for _, value in ranked]})
