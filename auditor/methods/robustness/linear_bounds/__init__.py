"""Linear bounds of one network around one input (CROWN), our own: every rounding counted, so that they are theorems."""

from auditor.methods.robustness.linear_bounds.certifying import LocallyCertified, certify_locally, linear_problem

__all__ = ["LocallyCertified", "certify_locally", "linear_problem"]
