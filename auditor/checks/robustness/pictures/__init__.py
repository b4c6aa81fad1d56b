"""The pictures of robustness, one room a subject."""

from auditor.checks.robustness.pictures.attacked import attacked_pictures
from auditor.checks.robustness.pictures.certified import certified_pictures
from auditor.checks.robustness.pictures.shared import Pictures

__all__ = ["Pictures", "attacked_pictures", "certified_pictures"]
