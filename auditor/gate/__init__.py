"""The gate: from findings, waivers and a baseline to a verdict and an exit code."""

from auditor.gate.exit_code import Exit, worst
from auditor.gate.judge import judge
from auditor.gate.wording import sentence

__all__ = ["Exit", "judge", "sentence", "worst"]
