"""Findings about perturbations: certified and attacked."""

from __future__ import annotations

import numpy as np

from auditor.records import (
    Axis,
    Bars,
    Column,
    Curve,
    Finding,
    Graph,
    Heatmap,
    Histogram,
    ImageGrid,
    Mark,
    Node,
    Series,
    Table,
    Tile,
)
from tests.report.sample.desk import Desk


def certified(sample: Desk) -> Finding:
    check = "robust/standard"
    radius = np.linspace(0, 0.5, 101)
    certified, standing = (
        0.879 * np.exp(-1.1 * radius - 3 * radius**2),
        0.879 * np.exp(-0.55 * radius - 1.2 * radius**2),
    )
    sample.table(
        check,
        "radii",
        {"epsilon": radius, "certified": certified, "undecided": standing, "broken": np.full(101, 0.879)},
    )
    names = list(sample.classes)
    share = np.sort(sample.random.uniform(0.45, 0.99, len(names)))
    sample.table(
        check,
        "classes",
        {
            "class": names,
            "share": share,
            "undecided": np.minimum(0.05, 1 - share),
            "low": share - 0.04,
            "high": np.minimum(share + 0.04, 1),
            "correct": np.minimum(share + 0.12, 1),
        },
    )
    sample.table(check, "radius", {"vra_radius": np.abs(sample.random.normal(0.32, 0.2, 3954))})
    tiles = []
    for k, name in enumerate(names[:6]):
        sample.image(check, f"narrow-{k}", sample.patch(k))
        tiles.append(
            Tile(
                image=f"narrow-{k}",
                title=f"{name}: {0.1412 + k / 5000:.4f}",
                note=f"row {537 + 301 * k}, certified",
                status="holds",
            )
        )
    sample.table(
        check,
        "layers",
        {
            "layer": [f"blocks.{k}" for k in range(4)],
            "kind": ["conv"] * 4,
            "lipschitz_upper": [1.21, 1.8, 1.4, 2.76],
        },
    )
    return sample.finding(
        check,
        "robustness.certified",
        "certified",
        claim=("At least 0.73 of the rows are classified correctly whatever the perturbation within 0.141 (l2)."),
        why="Sensor noise and compression must not change the label.",
        metric="vra",
        value=0.751,
        interval=(0.738, 0.763),
        threshold={"at_least": 0.73},
        metrics={
            "vra": 0.751,
            "clean_accuracy": 0.879,
            "clean_accuracy_interval": [0.869, 0.888],
            "rejection_rate": 0.217,
            "accuracy_under_attack": 0.789,
            "lipschitz_upper": 8.412,
            "lipschitz_lower": 6.287,
        },
        summary=(
            "For 3,378 of 4,500 patches the label is right and provably cannot change under any "
            "perturbation of ℓ₂ norm up to 0.141. The lower bound clears the requirement by 0.008."
        ),
        evidence=(
            Curve(
                id="radii",
                caption="What is proved, by radius.",
                detail="At the specified radius 3.9 % of patches are neither certified nor broken.",
                alt="Stacked shares by radius: at 0.141 certified 0.751, undecided 0.038, broken 0.090.",
                x=Axis(label="radius ε, ℓ₂ norm, input range [0, 1]", low=0, high=0.5),
                y=Axis(label="share of rows", low=0, high=1),
                series=(
                    Series(label="certified", x="epsilon", y="certified"),
                    Series(label="undecided", x="epsilon", y="undecided", style="second"),
                    Series(label="broken", x="epsilon", y="broken", style="third"),
                ),
                marks=(
                    Mark(axis="x", value=0.141, label="ε = 0.141", kind="observed"),
                    Mark(axis="y", value=0.73, label="required 0.73", kind="threshold"),
                    Mark(axis="y", value=0.879, label="right at ε = 0: 0.879"),
                ),
                stacked=True,
            ),
            Bars(
                id="classes",
                caption=f"{names[0]} carries least.",
                detail="A line in each bar is the class’s own interval.",
                alt="Certified share by class.",
                x=Axis(label="", low=0, high=1),
                label="class",
                values=("share", "undecided"),
                names=("certified", "undecided"),
                low="low",
                high="high",
                tick="correct",
                tick_name="correct",
            ),
            Histogram(
                id="radius",
                caption="How far from the edge.",
                detail="Largest certified radius of every patch.",
                alt="Certified radii, median 0.32.",
                wide=True,
                x=Axis(label="largest certified radius of a patch", low=0, high=0.9),
                value="vra_radius",
                bins=50,
                marks=(Mark(axis="x", value=0.141, label="ε = 0.141", kind="threshold"),),
                hatch="below",
            ),
            ImageGrid(
                id="narrowest",
                caption="The six smallest certified margins.",
                detail="Each is still a theorem.",
                alt="Six patches with small certified radii.",
                wide=True,
                tiles=tuple(tiles),
            ),
            Table(
                id="layers",
                caption="Where the bound comes from",
                columns=(
                    Column(name="layer", label="Layer"),
                    Column(name="kind", label="Kind"),
                    Column(name="lipschitz_upper", label="Bound", format=".2f"),
                ),
            ),
            Graph(
                id="network",
                caption="The network as the bound sees it.",
                alt="blocks.0 to blocks.1 and head.",
                wide=True,
                nodes=(
                    Node(id="a", label="blocks.0", status="1.21"),
                    Node(id="b", label="blocks.1", status="1.80"),
                    Node(id="c", label="shortcut", status="1.00"),
                    Node(id="d", label="head", status="2.76"),
                ),
                edges=(("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")),
            ),
        ),
        rests_on=(
            (
                "Lipschitz bounds recomputed from the weights alone in float64. Nothing stored in the "
                "checkpoint is trusted."
            ),
            "Arithmetic: real, with the float64 evaluation error subtracted from every margin.",
        ),
        limits=(
            "Nothing about changes larger than 0.141, or about rotation, cloud and season.",
            "A certified patch may be certified for the wrong label.",
            "Undecided is not broken. A stronger attack than `pgd` might break it.",
        ),
    )


def top3(sample: Desk) -> Finding:
    return sample.finding(
        "robust/top-3",
        "robustness.certified",
        "certified",
        claim="Noise does not push the right label out of the model’s first three.",
        metric="vra",
        value=0.905,
        interval=(0.896, 0.913),
        threshold={"at_least": 0.89},
        metrics={"vra": 0.905, "clean_accuracy": 0.981, "rejection_rate": 0.07},
        summary="The label lies in the loosest certified set of 4,073 of 4,500 patches.",
        limits=("That the first prediction is right.",),
        rests_on=("Same bounds as robust/standard.",),
    )


def affinity(sample: Desk) -> Finding:
    check, n = "robust/affinity", len(sample.classes)
    share = sample.random.dirichlet(np.full(n, 0.12), n) * 0.4 + np.eye(n) * 0.6
    rows = [
        (r, c, float(share[i, j]) if share[i, j] > 0.004 else 0.0)
        for i, r in enumerate(sample.classes)
        for j, c in enumerate(sample.classes)
    ]
    sample.table(
        check,
        "confusion",
        {"label": [r for r, _, _ in rows], "contained": [c for _, c, _ in rows], "share": [v for _, _, v in rows]},
    )
    sample.table(check, "size", {"classes": ["none", "one", "two", "three"], "share": [0.135, 0.661, 0.173, 0.031]})
    return sample.finding(
        check,
        "robustness.certified",
        "certified",
        claim="Noise confuses only classes whose confusion is acceptable.",
        metric="vra",
        value=0.836,
        interval=(0.825, 0.847),
        threshold={"at_least": 0.8},
        metrics={"vra": 0.836, "clean_accuracy": 0.968},
        summary="Accepting the confusions named in the spec raises the certified share from 0.751 to 0.836.",
        evidence=(
            Heatmap(
                id="confusion",
                caption="Certified confusion.",
                detail=(
                    "Per cent of a row’s patches whose certified set holds a column’s class. Outlined: "
                    "confusions the spec accepts."
                ),
                alt="Heat map of certified confusion.",
                row="label",
                column="contained",
                value="share",
                row_label="label of the patch",
                column_label="class contained in the certified set",
                outlined=tuple(tuple(dict.fromkeys((name, "Highway", "River"))) for name in sample.classes),
            ),
            Table(
                id="size",
                caption="Size of the certified set",
                columns=(
                    Column(name="classes", label="Classes"),
                    Column(name="share", label="Share of rows", format=".3f"),
                ),
            ),
        ),
        rests_on=("The same Lipschitz bounds as `robust/standard`.", "Affinity sets `highway+river+agriculture`."),
        limits=("Whether those confusions are acceptable. That is the reviewer’s judgement.",),
    )


def attacked(sample: Desk) -> Finding:
    check = "robust/attacked"
    x = np.linspace(0, 0.141, 60)
    sample.table(check, "radii", {"epsilon": x, "standing": 0.879 - 0.64 * x})
    return sample.finding(
        check,
        "robustness.attacked",
        "attacked",
        claim="A direct attack does not change the label of most patches.",
        metric="accuracy_under_attack",
        value=0.789,
        interval=(0.777, 0.801),
        threshold={"at_least": 0.75},
        metrics={"accuracy_under_attack": 0.789, "clean_accuracy": 0.879},
        summary="3,551 of 4,500 patches keep their right label under 50 steps of PGD with 5 restarts.",
        threat_model="ℓ₂ PGD, 50 steps, 5 restarts, with full knowledge of the weights.",
        evidence=(
            Curve(
                id="radii",
                caption="Share of patches still right.",
                detail="By the distance of the nearest flip found.",
                alt="Falls from 0.879 to 0.789 at 0.141.",
                x=Axis(label="ℓ₂ distance", low=0, high=0.15),
                y=Axis(label="share of rows", low=0, high=1),
                series=(Series(label="not broken", x="epsilon", y="standing"),),
                marks=(Mark(axis="y", value=0.75, label="required 0.75", kind="threshold"),),
                step=True,
            ),
        ),
        limits=("Robustness. Another attack may do better; only `robust/standard` proves anything.",),
    )
