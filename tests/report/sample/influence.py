"""Findings about what a prediction rests on."""

from __future__ import annotations

import numpy as np

from auditor.records import Axis, Bars, Finding, Histogram, ImageGrid, Mark, Note, Status, Tile
from tests.report.sample.desk import Desk


def criterion(sample: Desk) -> Finding:
    check = "sound/river-not-border"
    mass = np.concatenate(
        [sample.random.normal(0.17, 0.05, 353).clip(0.05, 0.299), sample.random.normal(0.38, 0.09, 62).clip(0.301, 0.8)]
    )
    sample.table(check, "metric", {"value": mass})
    tiles = []
    for k, (rank, value, edge) in enumerate((("Best", 0.087, False), ("Median", 0.186, False), ("Worst", 0.688, True))):
        sample.image(check, rank.lower(), sample.patch(40 + k))
        sample.image(check, f"{rank.lower()}-overlay", sample.heat(50 + k, edge))
        tiles.append(
            Tile(
                image=rank.lower(),
                overlay=f"{rank.lower()}-overlay",
                boxes=((4, 4, 56, 56),),
                title=f"{rank}: {value:.3f}",
                note=f"of attribution on the border, row {3914 - 101 * k}",
                status="breaks" if edge else "holds",
            )
        )
    return sample.finding(
        check,
        "influence.criterion",
        "measured",
        status=Status.FAIL,
        claim="A River label rests on the water course, not on the patch border.",
        metric="mass",
        value=0.8465,
        interval=(0.814, 0.875),
        n=417,
        threshold={"at_most": 0.3, "for_at_least": 0.9},
        metrics={"fraction": 0.8465, "fraction_interval": [0.814, 0.875], "undefined": 2, "value_median": 0.186},
        why="A River label must rest on the water course, not on the patch border.",
        opens_when="at least 386 of 417 rows hold, which puts the lower bound above 0.90",
        summary=(
            "353 of 417 River patches (0.847) keep at least 70 % of their attribution off the "
            "border; 0.90 was required. Even the upper bound, 0.875, falls short."
        ),
        evidence=(
            ImageGrid(
                id="examples",
                caption="Best, median and worst patch.",
                detail=("Left: the patch. Right: |attribution|, brighter is more. The dashed line bounds the region."),
                alt="Three patches with attributions.",
                wide=True,
                tiles=tuple(tiles),
            ),
            Histogram(
                id="metric",
                caption="Two humps.",
                detail="Border mass of 415 River patches; the allowed share is 0.30.",
                alt="Histogram of border mass: 353 within 0.30, 62 above.",
                x=Axis(label="share of |attribution| on the 4-pixel border", low=0, high=0.85),
                value="value",
                marks=(
                    Mark(axis="x", value=0.3, label="at most 0.30", kind="threshold"),
                    Mark(axis="x", value=0.234, label="even spread 0.234"),
                ),
                hatch="above",
            ),
            Note(
                id="question",
                caption="The question, exactly",
                text=(
                    "Quantity: logit of `River` minus logit of `Highway`. Distribution: the line from the "
                    "mean patch to the patch. Holds for a row if the border carries at most 0.30 of the "
                    "total."
                ),
            ),
        ),
        limits=(
            ("That the model uses the water itself: a pass would only say that it does not use the border."),
            "Anything about River patches seen against other classes than Highway.",
        ),
    )


def units(sample: Desk) -> Finding:
    check = "sound/same-units"
    sample.table(check, "overlap", {"value": sample.random.binomial(10, 0.66, 500) / 10})
    return sample.finding(
        check,
        "influence.criterion",
        "measured",
        claim="Forest patches are recognised by the same internal channels.",
        metric="top_k_overlap",
        value=0.93,
        interval=(0.908, 0.948),
        n=500,
        threshold={"at_least": 0.5, "for_at_least": 0.8},
        metrics={"fraction": 0.93, "undefined": 0, "value_median": 0.7},
        summary=("465 of 500 Forest patches share at least 5 of their 10 strongest channels with their class."),
        evidence=(
            Histogram(
                id="overlap",
                caption="Channels shared with the class.",
                alt="Histogram of overlap, median 0.7.",
                x=Axis(label="share of a patch’s 10 strongest channels", low=0, high=1),
                value="value",
                bins=10,
                marks=(Mark(axis="x", value=0.5, label="at least 0.5", kind="threshold"),),
                hatch="below",
            ),
        ),
        limits=("What those channels stand for.",),
        rests_on=("Class channels estimated on a disjoint fold of 250 rows.",),
    )


def sanity(sample: Desk) -> Finding:
    check = "sound/explanations-follow-the-model"
    names = ["from head", *[f"from blocks.{k}" for k in range(5, 0, -1)], "all layers"]
    value = [0.142, 0.118, 0.094, 0.081, 0.066, 0.058, 0.049]
    sample.table(
        check,
        "refits",
        {"refit": names, "r": value, "low": [v - 0.03 for v in value], "high": [v + 0.03 for v in value]},
    )
    return sample.finding(
        check,
        "influence.sanity",
        "measured",
        claim="Explanations change when the model’s weights are destroyed.",
        metric="rank_correlation",
        value=0.082,
        interval=(0.058, 0.106),
        n=256,
        threshold={"at_most": 0.2},
        metrics={"rank_correlation": 0.082},
        summary="Seven refits leave a rank correlation of 0.082 with the original explanation.",
        evidence=(
            Bars(
                id="refits",
                caption="Rank correlation after the weights are randomised.",
                alt="Rank correlations fall from 0.142 to 0.049.",
                x=Axis(label="rank correlation with the original explanation", low=0.0, high=0.3),
                label="refit",
                values=("r",),
                low="low",
                high="high",
                marks=(Mark(axis="x", value=0.2, label="at most 0.20", kind="threshold"),),
            ),
        ),
        limits=("That an explanation is right; only that it depends on what the model learned.",),
    )
