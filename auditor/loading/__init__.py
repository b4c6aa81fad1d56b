"""Model files and architectures made into one audited model; nothing in a model file is executed."""

from auditor.loading.audited import AuditedModel, Negate, Normalize, ZeroFirst
from auditor.loading.model import build, load_model
from auditor.loading.tensors import Tensors, tensors

__all__ = [
    "AuditedModel",
    "Negate",
    "Normalize",
    "Tensors",
    "ZeroFirst",
    "build",
    "load_model",
    "tensors",
]
