"""Definition 9.1 and theorem 9.1 of the thesis: the amplification of a model, and that of the best possible one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


def bias_amplification(labels: ArrayLike, predicted: ArrayLike, *, of: int = 1) -> float:
    """B = Pr[F(x) = of] - Pr[y = of] over the rows (def. 9.1): how much more often a class is predicted than it occurs.

    Signed, in [-1, 1]; over all classes the values sum to 0. NaN without rows.
    """
    import numpy as np

    label, given = np.asarray(labels), np.asarray(predicted)
    if label.shape != given.shape or label.ndim != 1:
        raise ValueError(f"labels {label.shape} and predictions {given.shape}: expected two equally long vectors")
    return float((given == of).mean() - (label == of).mean()) if len(label) else math.nan


def unavoidable_amplification(prior: float, distance: float) -> float:
    """B of the Bayes-optimal classifier of two normal classes of one covariance (thm. 9.1).

    `prior` is the share of the class whose amplification is asked for, `distance` the Mahalanobis distance D of the two
    means under the covariance *within* the classes. With l = log(p/(1-p)),

        Pr[h(x) = 1] = p Φ(D/2 + l/D) + (1-p) Φ(-D/2 + l/D).

    Positive if and only if p > 1/2 (the thesis's corollary prints p > 0). At D = 0 the majority is always predicted.
    """
    if not 0 <= prior <= 1 or not distance >= 0:
        raise ValueError(f"prior {prior} must lie in [0, 1] and distance {distance} must not be negative")
    if prior in (0.0, 0.5, 1.0) or math.isinf(distance):
        return 0.0
    odds = math.log(prior / (1 - prior))
    shift = odds / distance if distance > 0 else math.copysign(math.inf, odds)
    return prior * _normal(shift + distance / 2) + (1 - prior) * _normal(shift - distance / 2) - prior


def mahalanobis_within(inputs: ArrayLike, labels: ArrayLike) -> float:
    """Distance of the means of classes 0 and 1 under their pooled covariance, divisor n - 2: the D of theorem 9.1."""
    import numpy as np

    x, label = _two_classes(inputs, labels)
    parts = [x[label == number] for number in (0, 1)]
    centred = np.concatenate([part - part.mean(0) for part in parts])
    return _distance(parts[1].mean(0) - parts[0].mean(0), centred.T @ centred / (len(x) - 2))


def mahalanobis_total(inputs: ArrayLike, labels: ArrayLike) -> float:
    """The same under the covariance of all rows, which holds the gap between the means as well: about
    D/√(1 + p q D²), so below 1/√(p q) however far apart the classes lie.

    Not the D of theorem 9.1, but the one that the thesis's table 9.2 prints.
    """
    x, label = _two_classes(inputs, labels)
    centred = x - x.mean(0)
    return _distance(x[label == 1].mean(0) - x[label == 0].mean(0), centred.T @ centred / (len(x) - 1))


def _two_classes(inputs: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    import numpy as np

    x, label = np.asarray(inputs, np.float64), np.asarray(labels, np.int64)
    counts = [int((label == number).sum()) for number in (0, 1)]
    if x.ndim != 2 or len(x) != len(label) or sum(counts) != len(label) or min(counts) < 2:
        raise ValueError(f"inputs {x.shape} with {counts} rows of classes 0 and 1: expected a matrix, two rows a class")
    return x, label


def _distance(gap: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """√(gapᵀ Σ⁻¹ gap); infinite if the gap leaves the range of a singular Σ. Units of the features do not matter."""
    import numpy as np

    spread = np.sqrt(np.diag(covariance))
    if np.any((spread == 0) & (gap != 0)):
        return math.inf
    varies = spread > 0
    if not varies.any():
        return 0.0
    gap, scale = gap[varies] / spread[varies], spread[varies]
    values, vectors = np.linalg.eigh(covariance[np.ix_(varies, varies)] / np.outer(scale, scale))
    along = vectors.T @ gap
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    if np.linalg.norm(along[~kept]) > 1e-6 * np.linalg.norm(gap):
        return math.inf
    return float(np.sqrt(np.sum(along[kept] ** 2 / values[kept])))


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
