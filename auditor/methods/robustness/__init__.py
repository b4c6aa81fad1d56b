"""Certified and attacked robustness (thesis ch. 5–7): Lipschitz bounds that are theorems, radii from them, attacks
beside them.
"""

from auditor.errors import Unsupported
from auditor.methods.robustness.certificates import Certificates, certify
from auditor.methods.robustness.evaluation_error import EvaluationError
from auditor.methods.robustness.gloro import ABSTAIN, GloRo
from auditor.methods.robustness.lipschitz import Bounds, LayerBound, bound_model, margin_bounds
from auditor.methods.robustness.operator_norms import operator_norm_bound
from auditor.terms import Affinity, Standard, TopK

__all__ = [
    "ABSTAIN",
    "Affinity",
    "Bounds",
    "Certificates",
    "EvaluationError",
    "GloRo",
    "LayerBound",
    "Standard",
    "TopK",
    "Unsupported",
    "bound_model",
    "certify",
    "margin_bounds",
    "operator_norm_bound",
]
