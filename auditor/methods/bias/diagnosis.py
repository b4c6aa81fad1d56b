"""Whether two classes look like the normal distributions of one diagonal covariance that theorem 9.1 speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from auditor.statistics import holm

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

LEVEL = 0.05
"""Probability of rejecting classes that fit, over all tests together."""
LEAST_ROWS = 20
"""Rows a class below which the test of kurtosis is no test."""


class Diagnosis(NamedTuple):
    """`fits`: no test rejects, which is not a proof. `reason` names what was rejected, or what was tested."""

    fits: bool
    reason: str


def diagnose(inputs: ArrayLike, labels: ArrayLike) -> Diagnosis:
    """Tests rows [n, features] of classes 0 and 1 for normality, equal variance and uncorrelated features.

    Skew and kurtosis of each feature in each class (D'Agostino & Pearson 1973), variances between the classes
    (Brown & Forsythe 1974) and correlation of each pair of features in each class, all corrected together (Holm 1979).
    """
    import numpy as np
    from scipy.stats import levene, normaltest, pearsonr

    x, label = np.asarray(inputs, np.float64), np.asarray(labels)
    parts = [x[label == number] for number in (0, 1)]
    if min(map(len, parts)) < LEAST_ROWS:
        return Diagnosis(False, f"a class has fewer than {LEAST_ROWS} rows, too few to test for normality")
    if not np.isfinite(x).all():
        return Diagnosis(False, "some inputs are not finite")
    if any(np.any(np.ptp(part, axis=0) == 0) for part in parts):
        return Diagnosis(False, "a feature is constant within a class")
    features = range(x.shape[1])
    tests = [
        (f"normality of feature {i} in class {number}", normaltest(part[:, i]).pvalue)
        for number, part in enumerate(parts)
        for i in features
    ]
    tests += [(f"equal variance of feature {i}", levene(parts[0][:, i], parts[1][:, i]).pvalue) for i in features]
    tests += [
        (f"independence of features {i} and {j} in class {number}", pearsonr(part[:, i], part[:, j])[1])
        for number, part in enumerate(parts)
        for i in features
        for j in range(i)
    ]
    adjusted = holm([p for _, p in tests])
    rejected = int((adjusted <= LEVEL).sum())
    if rejected:
        worst = tests[int(adjusted.argmin())][0]
        return Diagnosis(False, f"{rejected} of {len(tests)} tests reject, {worst} most clearly")
    return Diagnosis(True, f"none of {len(tests)} tests of normality, equal variance and independence rejects")
