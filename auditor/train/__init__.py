"""`auditor train`: makes the model that a spec's `training` section declares, and notes how it was made."""

from auditor.train.conduct import train
from auditor.train.identity import training_digest
from auditor.train.note import note_path

__all__ = ["note_path", "train", "training_digest"]
