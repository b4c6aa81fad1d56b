"""Bias amplification (thesis ch. 9): how far predictions exceed the prior, and how much of it the data force."""

from auditor.methods.bias.amplification import (
    bias_amplification,
    mahalanobis_total,
    mahalanobis_within,
    unavoidable_amplification,
)
from auditor.methods.bias.diagnosis import Diagnosis, diagnose

__all__ = [
    "Diagnosis",
    "bias_amplification",
    "diagnose",
    "mahalanobis_total",
    "mahalanobis_within",
    "unavoidable_amplification",
]
