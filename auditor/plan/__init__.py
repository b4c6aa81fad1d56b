"""From checks to a graph of tasks, known by what they depend on."""

from auditor.plan.builder import Builder, CommonOps
from auditor.plan.compile import plan_checks
from auditor.plan.machine import Environment, devices, environment, require_present
from auditor.plan.op import Op, op
from auditor.plan.plan import Missing, Plan, Undecided
from auditor.plan.selection import select
from auditor.plan.subject import Subject
from auditor.plan.task import Task

__all__ = [
    "Builder",
    "CommonOps",
    "Environment",
    "Missing",
    "Op",
    "Plan",
    "Subject",
    "Task",
    "Undecided",
    "devices",
    "environment",
    "op",
    "plan_checks",
    "require_present",
    "select",
]
