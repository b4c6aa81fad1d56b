"""Sample data: an invented run in the shape of the EuroSAT spec, with every kind of evidence and every status.

No number here comes from a model. `write_sample(folder)` writes results.json and the evidence files as the audit would.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from auditor.records import (
    Axis,
    Bars,
    Baseline,
    Change,
    Column,
    Curve,
    DataRecord,
    Dumbbell,
    EvidenceKind,
    Finding,
    Graph,
    Heatmap,
    Histogram,
    ImageGrid,
    Mark,
    ModelRecord,
    Node,
    Note,
    Reason,
    Results,
    Run,
    Scope,
    Series,
    SpecRecord,
    Status,
    Table,
    TaskRecord,
    Tile,
    Verdict,
    Waived,
)
from auditor.resources import resource

CLASSES = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)
NOTE = "sample data: no figure in this report comes from a model"
ORDER = (
    "accuracy",
    "robust/standard",
    "robust/top-3",
    "robust/affinity",
    "robust/attacked",
    "sound/river-not-border",
    "sound/same-units",
    "sound/explanations-follow-the-model",
    "private/membership",
    "private/inversion",
    "fair/amplification",
)


def write_sample(folder: Path, *, classes: tuple[str, ...] = CLASSES, passed: bool = False) -> Results:
    """Writes the run below `folder` and returns its results."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = _Sample(folder, classes, np.random.default_rng(7))
    results = sample.results(passed)
    results.write(folder / "results.json")
    return results


def _reason(finding: Finding) -> str:
    if finding.reason:
        return f"Could not finish: {finding.reason}."
    return f"{finding.status.value.capitalize()}: {finding.metric} {finding.value}."


class _Sample:
    def __init__(self, folder: Path, classes: tuple[str, ...], random: np.random.Generator) -> None:
        self.folder, self.classes, self.random = folder, classes, random
        self.text = _spec_text()
        self.lines = {
            found[1]: k
            for k, line in enumerate(self.text.splitlines(), 1)
            if (found := re.match(r"  ([a-z][^:\s]*):(?:\s|$)", line))
        }

    def below(self, check: str) -> Path:
        path = self.folder / "evidence" / check.replace("/", "__")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def table(self, check: str, id: str, columns: dict) -> None:
        pq.write_table(pa.table(columns), self.below(check) / f"{id}.parquet")

    def image(self, check: str, stem: str, pixels: np.ndarray) -> None:
        Image.fromarray(pixels).save(self.below(check) / f"{stem}.png")

    def patch(self, seed: int, size: int = 64) -> np.ndarray:
        """Smooth fields in earth colours with a bright band: something to look at, of nothing."""
        random = np.random.default_rng(seed)
        y, x = np.mgrid[0:size, 0:size] / size
        field = np.zeros((size, size))
        for _ in range(5):
            waves = random.integers(1, 5) * x + random.integers(1, 5) * y
            field += random.normal() * np.sin(2 * math.pi * waves + random.uniform(0, 6))
        colours = np.array([[60, 90, 60], [150, 120, 90], [70, 100, 120]])[random.permutation(3)]
        level = (field - field.min()) / (np.ptp(field) + 1e-9)
        image = colours[0] * (1 - level[..., None]) + colours[1] * level[..., None]
        band = np.abs(y - 0.5 - 0.25 * np.sin(3 * x + random.uniform(0, 6))) < 0.06
        image[band] = colours[2] + 60
        return (image + random.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)

    def heat(self, seed: int, edge: bool) -> np.ndarray:
        random = np.random.default_rng(seed)
        y, x = np.mgrid[0:64, 0:64]
        centre = (random.uniform(4, 60), random.choice([2, 61]) if edge else random.uniform(25, 40))
        spot = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 90)
        return (255 * (spot + 0.25 * random.random((64, 64))).clip(0, 1)).astype(np.uint8)

    def finding(self, check: str, type: str, kind: str, **fields) -> Finding:
        self.table(check, "points", {"index": list(range(20)), "label": [k % 10 for k in range(20)]})
        defaults = {
            "status": Status.PASS,
            "confidence": 0.95,
            "n": 4500,
            "line": self.lines.get(check),
            "rerun": f"auditor check specs/eurosat.yaml model.pt --select name:{check} --seed 7",
        }
        return Finding(check=check, type=type, evidence_kind=EvidenceKind(kind), **{**defaults, **fields})

    def results(self, passed: bool) -> Results:
        findings = (
            self.accuracy(),
            self.certified(),
            self.top3(),
            self.affinity(),
            self.attacked(),
            self.criterion(),
            self.units(),
            self.sanity(),
            self.membership(),
            self.inversion(),
            self.amplification(),
            self.broken(),
            self.left_out(),
        )
        blocked = [f for f in findings if f.status is not Status.PASS and f.waived is None and f.severity == "error"]
        if passed:
            findings = tuple(f for f in findings if f not in blocked)
            blocked = []
        reasons = tuple(
            Reason(
                check=f.check,
                status=f.status.value,
                text=(f.reason and f"Could not finish: {f.reason}.")
                or f"{f.status.value.capitalize()}: {f.metric} {f.value}.",
            )
            for f in blocked
        )
        if not passed:
            reasons += (
                Reason(
                    check="sound/river-not-border",
                    status="regression",
                    text=(
                        "Regressed: fraction was 0.921 in the baseline and is now 0.8465, worse by 0.0745 "
                        "where 0.01 is allowed."
                    ),
                ),
            )
        for k in range(len(self.classes)):
            self.image("_samples", f"class-{k}", self.patch(100 + k))
        return Results(
            spec=SpecRecord(name="eurosat", path="specs/eurosat.yaml", sha256="b8" * 32, text=self.text),
            model=ModelRecord(
                path="model.pt",
                sha256="9d41" * 16,
                parameters=1248970,
                architecture="examples/eurosat/model.py:build",
                input_shape=(3, 64, 64),
                input_range=(0.0, 1.0),
            ),
            data={
                "test": DataRecord(
                    path="data/eurosat/test.parquet",
                    sha256="24f9" * 16,
                    rows=9003,
                    role="what checks look at",
                    used=4500,
                    per_class={name: 450 + (k * 37) % 80 - 40 for k, name in enumerate(self.classes)},
                    samples={name: f"evidence/_samples/class-{k}.png" for k, name in enumerate(self.classes)},
                ),
                "train": DataRecord(
                    path="data/eurosat/train.parquet",
                    sha256="61e0" * 16,
                    rows=17997,
                    role="what the model was trained on",
                    used=4500,
                ),
                "auxiliary": DataRecord(
                    path="data/eurosat/test.parquet",
                    sha256="24f9" * 16,
                    rows=9003,
                    role="what an attacker knows",
                    used=4503,
                ),
            },
            scope=Scope(
                purpose="Land use of one 64x64 Sentinel-2 RGB patch. Not for legal boundary decisions.",
                risk_tier="high",
                classes=self.classes,
                training={
                    "objective": {"gloro": {"epsilon": 0.141, "guarantee": {"top_k": 3}}},
                    "optimizer": {"adam": {"lr": 0.001}},
                    "epochs": 200,
                    "batch_size": 256,
                },
                sets={
                    "highway+river": tuple(tuple(dict.fromkeys((name, "Highway", "River"))) for name in self.classes),
                    "highway+river+agriculture": (
                        *(tuple(dict.fromkeys((name, "Highway", "River"))) for name in self.classes),
                        ("AnnualCrop", "PermanentCrop"),
                    ),
                },
                set_users={"highway+river+agriculture": ("robust/affinity",)},
                gate={"block_on": ["fail", "inconclusive", "error"], "regression": 0.01},
                waivers=(
                    {
                        "check": "private/inversion",
                        "reason": "Patches are public imagery, RISK-214.",
                        "owner": "j.doe@example.org",
                        "granted": "2026-11-20",
                        "expires": "2027-06-30",
                    },
                ),
                report={
                    "frameworks": ["eu-ai-act", "nist-ai-rmf", "sr-26-2"],
                    "reviewers": ["j.doe@example.org"],
                    "redact": ["members"],
                },
                as_of="2026-11-20",
                seed=7,
            ),
            verdict=Verdict(
                status="passed" if passed else "blocked",
                exit_code=0 if passed else 1,
                reasons=reasons,
                warnings=("private/property (severity info): not part of this audit.",),
            ),
            findings=findings,
            baseline=Baseline(
                path="reports/eurosat-7f0c2b1e",
                started="2026-09-02T08:00:00+00:00",
                changed=("the weights",),
                changes=tuple(self.change(f) for f in findings),
            ),
            run=self.run(findings),
        )

    def change(self, finding: Finding) -> Change:
        before = {"sound/river-not-border": 0.921, "private/membership": 0.083}.get(
            finding.check, (finding.value or 0) + 0.003
        )
        shift = 0 if finding.value is None else before - finding.value
        old = {"sound/river-not-border": "pass"}.get(finding.check, finding.status.value)
        return Change(
            check=finding.check,
            before=None if finding.value is None else before,
            after=finding.value,
            status_before=old,
            status_after=finding.status.value,
            worse=abs(shift),
            regression=finding.check == "sound/river-not-border",
        )

    def run(self, findings: tuple[Finding, ...]) -> Run:
        checks = tuple(f.check for f in findings if f.status is not Status.SKIPPED)
        robust = tuple(c for c in checks if c.startswith("robust"))
        tasks: list[tuple[str, float, bool, tuple[str, ...], tuple[str, ...]]] = [
            ("load_model", 0.4, False, (), checks),
            ("read_rows", 1.1, False, (), checks),
            ("read_members", 3.9, False, (), ("private/membership", "private/inversion")),
            ("read_auxiliary", 1.0, False, (), ("private/membership",)),
            ("forward_pass", 1.9, False, ("load_model", "read_rows"), checks),
            ("forward_members", 6.8, False, ("load_model", "read_members"), ("private/membership",)),
            ("margin_bounds", 0.8, True, ("load_model",), robust),
            (
                "certify",
                0.3,
                False,
                ("forward_pass", "margin_bounds"),
                ("robust/standard", "robust/top-3", "robust/affinity"),
            ),
            (
                "pgd_attack",
                214.0,
                False,
                ("load_model", "read_rows", "forward_pass"),
                ("robust/attacked", "robust/standard"),
            ),
            ("influence_input", 41.2, False, ("load_model", "read_rows"), ("sound/river-not-border",)),
            ("influence_units", 9.4, False, ("load_model", "read_rows"), ("sound/same-units",)),
            ("randomised_refits", 58.0, False, ("load_model", "read_rows"), ("sound/explanations-follow-the-model",)),
            ("shadow_models", 1481.0, False, ("read_auxiliary",), ("private/membership",)),
            (
                "membership_scores",
                36.5,
                False,
                ("forward_pass", "forward_members", "shadow_models"),
                ("private/membership",),
            ),
            ("inversions", 312.0, False, ("load_model", "read_members"), ("private/inversion",)),
        ]
        feeds = {
            "accuracy": ("forward_pass",),
            "robust/standard": ("certify", "pgd_attack"),
            "robust/top-3": ("certify",),
            "robust/affinity": ("certify",),
            "robust/attacked": ("pgd_attack",),
            "sound/river-not-border": ("influence_input", "forward_pass"),
            "sound/same-units": ("influence_units",),
            "sound/explanations-follow-the-model": ("randomised_refits",),
            "private/membership": ("membership_scores",),
            "private/inversion": ("inversions",),
            "fair/amplification": ("forward_pass",),
            "robust/lipschitz": ("margin_bounds",),
        }
        records = [
            TaskRecord(
                op=f"auditor.checks.sample:{op}",
                digest=op,
                seconds=seconds,
                cached=cached,
                inputs=inputs,
                checks=tuple(c for c in used if c in checks),
            )
            for op, seconds, cached, inputs, used in tasks
        ]
        records += [
            TaskRecord(
                op="auditor.checks.sample:judge",
                digest=f"judge-{check}",
                seconds=0.02,
                cached=False,
                inputs=feeds[check],
                checks=(check,),
            )
            for check in checks
        ]
        return Run(
            started="2026-11-20T09:14:07+00:00",
            seconds=2212.0,
            device="cpu",
            environment={
                "auditor": "0.1.0",
                "python": "3.11.2",
                "torch": "2.13.0",
                "numpy": "2.4.1",
                "system": "Linux",
            },
            tasks=tuple(records),
            command="auditor check specs/eurosat.yaml model.pt --seed 7 --baseline reports/eurosat-7f0c2b1e",
            notes=(NOTE,),
        )

    def accuracy(self) -> Finding:
        shares = sorted(zip(np.round(self.random.uniform(0.7, 1.0, len(self.classes)), 3), self.classes, strict=True))
        self.table(
            "accuracy",
            "classes",
            {
                "class": [c for _, c in shares],
                "accuracy": [float(a) for a, _ in shares],
                "low": [max(float(a) - 0.03, 0) for a, _ in shares],
                "high": [min(float(a) + 0.025, 1) for a, _ in shares],
            },
        )
        return self.finding(
            "accuracy",
            "quality.accuracy",
            "measured",
            claim="The model names the land use of most patches correctly.",
            metric="accuracy",
            value=0.879,
            interval=(0.869, 0.888),
            threshold={"at_least": 0.85},
            metrics={"accuracy": 0.879, "per_class_accuracy": {c: float(a) for a, c in shares}},
            summary=(
                "3,956 of 4,500 patches get their own label, 0.879. The lower bound clears the requirement by 0.019."
            ),
            evidence=(
                Bars(
                    id="classes",
                    caption="Accuracy by class, lowest first.",
                    detail="A line is the class’s own interval.",
                    alt="Accuracy by class from lowest to highest: "
                    + ", ".join(f"{c} {a:.3f}" for a, c in shares)
                    + ".",
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

    def certified(self) -> Finding:
        check = "robust/standard"
        radius = np.linspace(0, 0.5, 101)
        certified, standing = (
            0.879 * np.exp(-1.1 * radius - 3 * radius**2),
            0.879 * np.exp(-0.55 * radius - 1.2 * radius**2),
        )
        self.table(
            check,
            "radii",
            {"epsilon": radius, "certified": certified, "undecided": standing, "broken": np.full(101, 0.879)},
        )
        names = list(self.classes)
        share = np.sort(self.random.uniform(0.45, 0.99, len(names)))
        self.table(
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
        self.table(check, "radius", {"vra_radius": np.abs(self.random.normal(0.32, 0.2, 3954))})
        tiles = []
        for k, name in enumerate(names[:6]):
            self.image(check, f"narrow-{k}", self.patch(k))
            tiles.append(
                Tile(
                    image=f"narrow-{k}",
                    title=f"{name}: {0.1412 + k / 5000:.4f}",
                    note=f"row {537 + 301 * k}, certified",
                    status="holds",
                )
            )
        self.table(
            check,
            "layers",
            {
                "layer": [f"blocks.{k}" for k in range(4)],
                "kind": ["conv"] * 4,
                "lipschitz_upper": [1.21, 1.8, 1.4, 2.76],
            },
        )
        return self.finding(
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

    def top3(self) -> Finding:
        return self.finding(
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

    def affinity(self) -> Finding:
        check, n = "robust/affinity", len(self.classes)
        share = self.random.dirichlet(np.full(n, 0.12), n) * 0.4 + np.eye(n) * 0.6
        rows = [
            (r, c, float(share[i, j]) if share[i, j] > 0.004 else 0.0)
            for i, r in enumerate(self.classes)
            for j, c in enumerate(self.classes)
        ]
        self.table(
            check,
            "confusion",
            {"label": [r for r, _, _ in rows], "contained": [c for _, c, _ in rows], "share": [v for _, _, v in rows]},
        )
        self.table(check, "size", {"classes": ["none", "one", "two", "three"], "share": [0.135, 0.661, 0.173, 0.031]})
        return self.finding(
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
                    outlined=tuple(tuple(dict.fromkeys((name, "Highway", "River"))) for name in self.classes),
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

    def attacked(self) -> Finding:
        check = "robust/attacked"
        x = np.linspace(0, 0.141, 60)
        self.table(check, "radii", {"epsilon": x, "standing": 0.879 - 0.64 * x})
        return self.finding(
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

    def criterion(self) -> Finding:
        check = "sound/river-not-border"
        mass = np.concatenate(
            [self.random.normal(0.17, 0.05, 353).clip(0.05, 0.299), self.random.normal(0.38, 0.09, 62).clip(0.301, 0.8)]
        )
        self.table(check, "metric", {"value": mass})
        tiles = []
        for k, (rank, value, edge) in enumerate(
            (("Best", 0.087, False), ("Median", 0.186, False), ("Worst", 0.688, True))
        ):
            self.image(check, rank.lower(), self.patch(40 + k))
            self.image(check, f"{rank.lower()}-overlay", self.heat(50 + k, edge))
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
        return self.finding(
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
                    detail=(
                        "Left: the patch. Right: |attribution|, brighter is more. The dashed line bounds the region."
                    ),
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

    def units(self) -> Finding:
        check = "sound/same-units"
        self.table(check, "overlap", {"value": self.random.binomial(10, 0.66, 500) / 10})
        return self.finding(
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

    def sanity(self) -> Finding:
        check = "sound/explanations-follow-the-model"
        names = ["from head", *[f"from blocks.{k}" for k in range(5, 0, -1)], "all layers"]
        value = [0.142, 0.118, 0.094, 0.081, 0.066, 0.058, 0.049]
        self.table(
            check,
            "refits",
            {"refit": names, "r": value, "low": [v - 0.03 for v in value], "high": [v + 0.03 for v in value]},
        )
        return self.finding(
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

    def membership(self) -> Finding:
        check = "private/membership"
        fpr = np.logspace(-2.7, 0, 120)
        tpr = np.minimum(fpr**0.86 * 1.05, 1)
        self.table(
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
        self.table(
            check,
            "power",
            {
                "advantage": x,
                "pass": passes,
                "open": 1 - (1 - 1 / (1 + np.exp((x - 0.126) / 0.006))),
                "fail": np.ones(121),
            },
        )
        scores = np.concatenate([self.random.normal(0.15, 1, 4500), self.random.normal(0, 1, 4500)])
        self.table(check, "scores", {"score": scores, "group": ["members"] * 4500 + ["non-members"] * 4500})
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
        return self.finding(
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

    def inversion(self) -> Finding:
        check = "private/inversion"
        tiles = []
        for k in range(3):
            self.image(check, f"made-{k}", self.patch(70 + k))
            self.image(check, f"near-{k}", self.patch(80 + k))
            tiles += [
                Tile(image=f"made-{k}", title=self.classes[k], note="reconstruction", shows="reconstructions"),
                Tile(image=f"near-{k}", title="nearest", note=f"SSIM 0.{61 - k}", shows="members"),
            ]
        return self.finding(
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

    def amplification(self) -> Finding:
        check = "fair/amplification"
        prior = self.random.uniform(0.07, 0.12, len(self.classes))
        rate = prior + self.random.normal(0, 0.004, len(self.classes))
        self.table(
            check,
            "rates",
            {"class": list(self.classes), "prior": prior, "predicted": rate, "low": rate - 0.006, "high": rate + 0.006},
        )
        self.table(check, "long", {"index": list(range(75)), "difference": [k / 1000 for k in range(75)]})
        return self.finding(
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
                "prior": {c: float(v) for c, v in zip(self.classes, prior, strict=True)},
                "predicted_rate": {c: float(v) for c, v in zip(self.classes, rate, strict=True)},
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

    def broken(self) -> Finding:
        return self.finding(
            "robust/lipschitz",
            "robustness.lipschitz",
            "certified",
            status=Status.ERROR,
            claim="The bound is within a factor of two of what is seen.",
            metric="tightness",
            threshold={"at_least": 0.5},
            n=None,
            reason=("unsupported in 'margin bounds' at blocks.3: no bound is known for the layer LocalResponseNorm"),
            opens_when="the cause is gone: remove blocks.3 or replace it by a layer with a bound",
            summary=("Unsupported in 'margin bounds' at blocks.3: no bound is known for the layer LocalResponseNorm."),
            severity="error",
        )

    def left_out(self) -> Finding:
        return self.finding(
            "private/property",
            "privacy.property",
            "attacked",
            status=Status.SKIPPED,
            severity="info",
            claim="Shares of the training set stay private.",
            metric="f1",
            threshold={"at_most": 0.6},
            n=None,
            reason="not selected by --select",
            summary="Not selected by --select.",
        )


def _spec_text() -> str:
    """The shipped EuroSAT spec where it is, else a few lines in its manner."""
    try:
        return resource("specs", "eurosat.yaml").read_text("utf-8")
    except FileNotFoundError:
        checks = "".join(
            f"  {name}:\n    type: sample.check   # line for {name}\n    require: {{metric: x, at_least: 0.5}}\n"
            for name in ORDER
        )
        return f"auditor: 1\nname: eurosat\n\nchecks:\n{checks}"
