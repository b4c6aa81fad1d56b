"""Running a plan: the store, the scheduler, workers, progress."""

from auditor.run.execute import execute
from auditor.run.outcome import Failure, Outcome
from auditor.run.store import Store

__all__ = ["Failure", "Outcome", "Store", "execute"]
