"""Findings about accuracy and about the shares of the classes."""

from __future__ import annotations

import numpy as np

from auditor.records import Axis, Bars, Column, Dumbbell, Finding, Mark, Table
from tests.report.sample.desk import Desk


def accuracy(sample: Desk) -> Finding:
    shares = sorted(zip(np.round(sample.random.uniform(0.7, 1.0, len(sample.classes)), 3), sample.classes, strict=True))
    sample.table(
        "accuracy",
        "classes",
        {
            "class": [c for _, c in shares],
            "accuracy": [float(a) for a, _ in shares],
            "low": [max(float(a) - 0.03, 0) for a, _ in shares],
            "high": [min(float(a) + 0.025, 1) for a, _ in shares],
        },
    )
    return sample.finding(
        "accuracy",
        "quality.accuracy",
        "measured",
        claim="The model names the land use of most patches correctly.",
        metric="accuracy",
        value=0.879,
        interval=(0.869, 0.888),
        threshold={"at_least": 0.85},
        metrics={"accuracy": 0.879, "per_class_accuracy": {c: float(a) for a, c in shares}},
        summary=("3,956 of 4,500 patches get their own label, 0.879. The lower bound clears the requirement by 0.019."),
        evidence=(
            Bars(
                id="classes",
                caption="Accuracy by class, lowest first.",
                detail="A line is the class’s own interval.",
                alt="Accuracy by class from lowest to highest: " + ", ".join(f"{c} {a:.3f}" for a, c in shares) + ".",
                x=Axis(label="accuracy", low=0.6, high=1.0),
                label="class",
                values=("accuracy",),
                low="low",
                high="high",
                marks=(Mark(axis="x", value=0.85, label="0.85", kind="threshold"),),
            ),
        ),
        rests_on=("4,500 rows drawn like the training rows; Clopper–Pearson.",),
        limits=(
            (
                "That classes are recognised equally well. The requirement is on the average; the spec "
                "sets none per class."
            ),
        ),
    )


def amplification(sample: Desk) -> Finding:
    check = "fair/amplification"
    prior = sample.random.uniform(0.07, 0.12, len(sample.classes))
    rate = prior + sample.random.normal(0, 0.004, len(sample.classes))
    sample.table(
        check,
        "rates",
        {"class": list(sample.classes), "prior": prior, "predicted": rate, "low": rate - 0.006, "high": rate + 0.006},
    )
    sample.table(check, "long", {"index": list(range(75)), "difference": [k / 1000 for k in range(75)]})
    return sample.finding(
        check,
        "bias.amplification",
        "measured",
        claim="The model does not exaggerate how common a class is.",
        metric="bias_amplification",
        value=0.0076,
        interval=(0.0, 0.0152),
        threshold={"at_most": 0.02},
        metrics={
            "bias_amplification": 0.0076,
            "prior": {c: float(v) for c, v in zip(sample.classes, prior, strict=True)},
            "predicted_rate": {c: float(v) for c, v in zip(sample.classes, rate, strict=True)},
            "unavoidable": None,
        },
        summary=(
            "No class is predicted much more or less often than it occurs. HerbaceousVegetation is "
            "furthest off; its whole interval stays inside the budget."
        ),
        evidence=(
            Dumbbell(
                id="rates",
                caption="From the share of the labels to the share of the predictions.",
                detail="Sorted by the spec’s order of classes.",
                alt="Dumbbell of class shares.",
                wide=True,
                x=Axis(label="share of rows"),
                label="class",
                start="prior",
                end="predicted",
                start_name="share of the labels",
                end_name="share of the predictions",
                low="low",
                high="high",
            ),
            Table(
                id="long",
                caption="Rows furthest off",
                columns=(
                    Column(name="index", label="Row"),
                    Column(name="difference", label="Difference", format=".3f"),
                ),
            ),
        ),
        rests_on=("One class against the rest, on the same 4,500 rows for both shares.",),
        limits=("Whether the data themselves are skewed. Equal rates mean equal to the data, not fair.",),
    )
