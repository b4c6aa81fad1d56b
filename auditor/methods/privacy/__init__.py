"""Attacks on privacy (thesis ch. 8)."""

from auditor.methods.privacy.membership import SCORES, cross_fitted, loss_scores, naive_scores

__all__ = ["SCORES", "cross_fitted", "loss_scores", "naive_scores"]
