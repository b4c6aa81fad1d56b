"""Sample data: an invented run in the shape of the EuroSAT spec, with every kind of evidence and every status.

No number here comes from a model. `write_sample(folder)` writes results.json and the evidence files as the audit would.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from auditor.records import Results
from tests.report.sample.desk import Desk
from tests.report.sample.results import results

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


def write_sample(folder: Path, *, classes: tuple[str, ...] = CLASSES, passed: bool = False) -> Results:
    """Writes the run below `folder` and returns its results."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = Desk(folder, classes, np.random.default_rng(7))
    made = results(sample, passed)
    made.write(folder / "results.json")
    return made
