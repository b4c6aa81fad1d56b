"""Tables, pictures and the frame of a finding, all invented."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from auditor.records import EvidenceKind, Finding, Status
from auditor.resources import resource

CHECKS = (
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


class Desk:
    """Where the sample is made: writes tables and pictures below `folder`, and fills in what every finding has."""

    def __init__(self, folder: Path, classes: tuple[str, ...], random: np.random.Generator) -> None:
        self.folder, self.classes, self.random = folder, classes, random
        self.text = spec_text()
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


def spec_text() -> str:
    """The shipped EuroSAT spec where it is, else a few lines in its manner."""
    try:
        return resource("specs", "eurosat.yaml").read_text("utf-8")
    except FileNotFoundError:
        checks = "".join(
            f"  {name}:\n    type: sample.check   # line for {name}\n    require: {{metric: x, at_least: 0.5}}\n"
            for name in CHECKS
        )
        return f"auditor: 1\nname: eurosat\n\nchecks:\n{checks}"
