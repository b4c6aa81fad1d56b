"""Attacks on privacy (thesis ch. 8)."""

from auditor.methods.privacy.membership import SCORES, Decisions, cross_fitted, loss_scores, naive_scores

__all__ = ["SCORES", "Decisions", "cross_fitted", "loss_scores", "naive_scores"]
