"""Training of networks that can be certified (thesis 6.3, 7.2–7.4, A.4, B.5)."""

from auditor.methods.training.gloro_loss import bottom_logit, gloro_cross_entropy, gloro_trades, verified
from auditor.methods.training.layers import MinMax, orthogonal_
from auditor.methods.training.recipe import Adam, Augmentation, CrossEntropy, GloRo, Pgd, Recipe, Schedule, Sgd
from auditor.methods.training.trainer import Epoch, train

__all__ = [
    "Adam",
    "Augmentation",
    "CrossEntropy",
    "Epoch",
    "GloRo",
    "MinMax",
    "Pgd",
    "Recipe",
    "Schedule",
    "Sgd",
    "bottom_logit",
    "gloro_cross_entropy",
    "gloro_trades",
    "orthogonal_",
    "train",
    "verified",
]
