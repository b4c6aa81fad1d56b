"""Exact and resampled intervals, corrections and power: what turns counts into three-valued verdicts."""

from auditor.statistics.bootstrap import bca_interval, percentile_interval, resampled
from auditor.statistics.intervals import (
    Bounds,
    Interval,
    clopper_pearson,
    clopper_pearson_bounds,
    difference,
    dkw_radius,
    paired_difference,
)
from auditor.statistics.multiplicity import bonferroni, holm
from auditor.statistics.power import (
    Reach,
    chance_of_fail,
    chance_of_pass,
    points_needed,
    reach,
    successes_allowed,
    successes_to_pass,
    trials_needed,
    trials_to_decide,
)
from auditor.statistics.tail_rate import TailRate, tail_rate

__all__ = [
    "Bounds",
    "Interval",
    "Reach",
    "TailRate",
    "bca_interval",
    "bonferroni",
    "chance_of_fail",
    "chance_of_pass",
    "clopper_pearson",
    "clopper_pearson_bounds",
    "difference",
    "dkw_radius",
    "holm",
    "paired_difference",
    "percentile_interval",
    "points_needed",
    "reach",
    "resampled",
    "successes_allowed",
    "successes_to_pass",
    "tail_rate",
    "trials_needed",
    "trials_to_decide",
]
