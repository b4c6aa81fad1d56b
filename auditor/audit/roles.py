"""Who may know which rows: members the model was trained on, non-members, and what an attacker knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from auditor.errors import DataError
from auditor.plan.op import op
from auditor.plan.task import make_task
from auditor.run.evaluator import Evaluator, TaskError
from auditor.spec.rows import Rows

if TYPE_CHECKING:
    from auditor.audit.prepare import Prepared
    from auditor.run import Store
    from auditor.sources import Part
    from auditor.spec.check import Check

MEMBERS, AUXILIARY = "train", "auxiliary"
"""Names of sources whose role is their name."""
LABELS = {
    "member": "what the model was trained on (members)",
    "non-member": "what checks look at (non-members)",
    "auxiliary": "what an attacker knows",
}
"""Roles, as a report words them."""


def roles(checks: Mapping[str, Check]) -> dict[Rows, str]:
    """What `checks` take, each with its role: `member`, `non-member` or `auxiliary`.

    Members are what a check names so, and the source `train`; non-members whatever else a check looks at.
    """
    members = {MEMBERS} | {rows.data for check in checks.values() for rows in _rows(check, "members")}
    found: dict[Rows, str] = {}
    for check in checks.values():
        for field in ("members", "over", "auxiliary"):
            for rows in _rows(check, field):
                role = "member" if rows.data in members else "auxiliary" if rows.data == AUXILIARY else "non-member"
                found.setdefault(rows, role)
    return found


@op(version=1)
def shared_rows(*, parts: tuple[Part, ...]) -> list[str]:
    """One sentence for each pair of parts with different roles that share rows."""
    from auditor.sources import overlaps

    return [str(overlap) for overlap in overlaps(parts)]


def refuse_shared_rows(prepared: Prepared, store: Store, checks: Mapping[str, Check]) -> None:
    """Raises DataError, naming the rows, where sources with different roles share some. Looked at once, then kept.

    `train` and `auxiliary` take part if they are declared, whether or not a check of this audit reads them.
    """
    from auditor.sources import Part

    taken = roles(checks)
    for name, role in ((MEMBERS, "member"), (AUXILIARY, "auxiliary")):
        if name in prepared.manifests and not any(rows.data == name for rows in taken):
            taken[Rows(data=name)] = role
    parts = tuple(
        Part(rows.data, role, prepared.manifests[rows.data], rows.rows)
        for rows, role in sorted(taken.items(), key=lambda item: str(item[0]))
    )
    if len({part.role for part in parts}) < 2:
        return
    task = make_task(shared_rows, {"parts": parts}, prepared.plan.environment)
    try:
        found = Evaluator({task.digest: task}, store).value(task.digest)
    except TaskError as failed:
        raise failed.error from None
    if found:
        raise DataError(
            "rows overlap between sources with different roles\n    " + "\n    ".join(found),
            remedy="leave these rows out of one of the two sources (`rows`), or deduplicate the files",
            code="overlap",
        )


def _rows(check: Check, field: str) -> Iterator[Rows]:
    """The rows that the check names under `field`: a source's name or a Rows."""
    value = getattr(check, field, None)
    if isinstance(value, str):
        yield Rows(data=value)
    elif isinstance(value, Rows):
        yield value
