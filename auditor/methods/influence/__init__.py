"""Internal Influence (thesis ch. 3-4): slices, quantities and distributions of interest, and metrics on it."""

from auditor.methods.influence import distribution, quantity, regions
from auditor.methods.influence.measure import Explanation, explain, influence
from auditor.methods.influence.metrics import mass, mass_lift, share, top_k_overlap
from auditor.methods.influence.randomised import randomised
from auditor.methods.influence.slices import Cut, cut
from auditor.terms import Slice

__all__ = [
    "Cut",
    "Explanation",
    "Slice",
    "cut",
    "distribution",
    "explain",
    "influence",
    "mass",
    "mass_lift",
    "quantity",
    "randomised",
    "regions",
    "share",
    "top_k_overlap",
]
