"""Findings about what the model tells of its training rows."""

from __future__ import annotations

import numpy as np

from auditor.records import Axis, Curve, Finding, Histogram, ImageGrid, Mark, Series, Status, Tile, Waived
from tests.report.sample.desk import Desk


def membership(sample: Desk) -> Finding:
    check = "private/membership"
    fpr = np.logspace(-2.7, 0, 120)
    tpr = np.minimum(fpr**0.86 * 1.05, 1)
    sample.table(
        check,
        "roc",
        {
            "fpr": fpr,
            "rmia": tpr,
            "low": tpr * 0.8,
            "high": np.minimum(tpr * 1.25, 1),
            "bayesian": np.minimum(fpr**0.93, 1),
            "budget": np.minimum(fpr + 0.1, 1),
        },
    )
    x = np.linspace(0, 0.2, 121)
    passes = 1 / (1 + np.exp((x - 0.074) / 0.006))
    sample.table(
        check,
        "power",
        {
            "advantage": x,
            "pass": passes,
            "open": 1 - (1 - 1 / (1 + np.exp((x - 0.126) / 0.006))),
            "fail": np.ones(121),
        },
    )
    scores = np.concatenate([sample.random.normal(0.15, 1, 4500), sample.random.normal(0, 1, 4500)])
    sample.table(check, "scores", {"score": scores, "group": ["members"] * 4500 + ["non-members"] * 4500})
    attacks = {
        "rmia": (0.089, (0.064, 0.114), 0.557, 0.021),
        "bayesian": (0.071, (0.046, 0.097), 0.547, 0.014),
        "naive": (0.053, (0.029, 0.077), 0.527, None),
    }
    metrics = {"worst_attack": "rmia"}
    for name, (advantage, interval, auc, tpr_low) in attacks.items():
        metrics |= {
            f"{name}.advantage": advantage,
            f"{name}.advantage_interval": list(interval),
            f"{name}.auc": auc,
            f"{name}.tpr_at_1pct_fpr": tpr_low,
        }
    return sample.finding(
        check,
        "privacy.membership",
        "attacked",
        status=Status.INCONCLUSIVE,
        claim="Nobody can tell whether a patch was used for training.",
        metric="advantage",
        value=0.089,
        interval=(0.064, 0.114),
        n=9000,
        threshold={"at_most": 0.1},
        metrics=metrics,
        summary=(
            "The strongest of three attacks reaches advantage 0.089, interval [0.064, 0.114]. The "
            "budget, 0.10, lies inside."
        ),
        opens_when=(
            "the observed advantage is 0.074 or less. More rows cannot help: 44,000 a side are needed, 17,997 exist"
        ),
        power=(
            "With 4,500 points a side and three attacks, this check passes a model with a true "
            "advantage of 0.066 or less, and fails one of 0.134 or more, with probability at least "
            "0.80."
        ),
        threat_model=(
            "The attacker has the weights, the training recipe and 4,503 rows from the same "
            "source; not the training set."
        ),
        evidence=(
            Curve(
                id="roc",
                caption="Three attacks, both axes logarithmic.",
                detail="Band: 95 %, stratified bootstrap of rmia.",
                alt="ROC curves; rmia reaches 0.021 at 1 % false positives.",
                x=Axis(label="false-positive rate", scale="log", low=0.002, high=1),
                y=Axis(label="true-positive rate", scale="log", low=0.002, high=1),
                series=(
                    Series(label="rmia", x="fpr", y="rmia", low="low", high="high"),
                    Series(label="bayesian", x="fpr", y="bayesian", style="third"),
                    Series(label="budget: advantage 0.10", x="fpr", y="budget", style="reference"),
                ),
                marks=(Mark(axis="x", value=0.01, label="1 % FPR"),),
                diagonal="no leak",
            ),
            Curve(
                id="power",
                caption="What 4,500 points a side can decide.",
                detail="The chance of each answer, if the leak were as large as the axis says.",
                alt="Power curves.",
                x=Axis(label="true advantage of the attack", low=0, high=0.2),
                y=Axis(label="", low=0, high=1),
                series=(
                    Series(label="says pass", x="advantage", y="pass"),
                    Series(label="inconclusive", x="advantage", y="open", style="second"),
                    Series(label="says fail", x="advantage", y="fail", style="third"),
                ),
                marks=(
                    Mark(axis="x", value=0.1, label="budget", kind="threshold"),
                    Mark(axis="x", value=0.089, label="observed", kind="observed"),
                ),
                stacked=True,
            ),
            Histogram(
                id="scores",
                caption="Why the leak is small.",
                detail="Scores of members and non-members almost coincide.",
                alt="Two histograms that almost coincide.",
                x=Axis(label="rmia score, standardised"),
                value="score",
                group="group",
                bins=40,
            ),
        ),
        rests_on=(
            "8 shadow models on random halves, 40 epochs each, as the spec asks.",
            "Thresholds come from hold-out and shadow models, never from the rows scored.",
        ),
        limits=(
            "That no leak exists. An attack that finds nothing proves nothing by itself.",
            "A privacy guarantee. The spec claims no (ε, δ).",
        ),
    )


def inversion(sample: Desk) -> Finding:
    check = "private/inversion"
    tiles = []
    for k in range(3):
        sample.image(check, f"made-{k}", sample.patch(70 + k))
        sample.image(check, f"near-{k}", sample.patch(80 + k))
        tiles += [
            Tile(image=f"made-{k}", title=sample.classes[k], note="reconstruction", shows="reconstructions"),
            Tile(image=f"near-{k}", title="nearest", note=f"SSIM 0.{61 - k}", shows="members"),
        ]
    return sample.finding(
        check,
        "privacy.inversion",
        "attacked",
        status=Status.FAIL,
        severity="warn",
        claim="Training patches cannot be drawn out of the weights.",
        metric="excess_ssim",
        value=0.131,
        interval=(0.104, 0.158),
        n=200,
        threshold={"at_most": 0.1},
        metrics={"excess_ssim": 0.131, "ssim_member": 0.41, "ssim_nonmember": 0.279},
        summary="200 reconstructions are 0.131 closer to training patches than to others.",
        waived=Waived(
            reason="Patches are public imagery, RISK-214.",
            owner="j.doe@example.org",
            granted="2026-11-20",
            expires="2027-06-30",
        ),
        evidence=(
            ImageGrid(
                id="pairs",
                caption="Reconstruction beside its nearest training patch.",
                alt="Three pairs.",
                tiles=tuple(tiles),
            ),
        ),
        limits=("The best an attacker can do: 20 restarts a class, no generative prior.",),
    )
