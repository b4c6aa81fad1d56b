"""The language of `--select` and `--exclude`: which checks an expression means.

A term is `method:glob`; a word without a method is a `name:`. A space is a union, a comma an intersection that binds
tighter: `type:robustness.*,tag:fast sound/*` are the fast robustness checks and everything below `sound/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from auditor.errors import UsageError
from auditor.records import Results
from auditor.spec.check import Check

METHODS = ("name", "type", "tag", "status", "state")


def select(
    checks: Mapping[str, Check],
    expression: str,
    baseline: Results | None = None,
    digests: Mapping[str, str] | None = None,
) -> list[str]:
    """Names of the checks that satisfy `expression`, in the order of the spec; possibly none.

    `status:` reads the statuses in `baseline`; a waived finding is also `waived`. `state:modified` is true of a check
    whose judgement in `baseline` has another digest than in `digests`, or none: its declaration, the model, the data,
    an op or the kind of device is different. Raises UsageError for what is not an expression, or needs a baseline that
    is missing.
    """
    if not expression.strip():
        raise UsageError("an empty selection expression selects nothing", remedy="use '*' for every check")
    chosen: set[str] = set()
    for union in expression.split():
        tests = [_test(term, union, baseline, digests) for term in union.split(",")]
        chosen |= {name for name, check in checks.items() if all(test(name, check) for test in tests)}
    return [name for name in checks if name in chosen]


def choose(
    checks: Mapping[str, Check],
    select_: str | None,
    exclude: str | None,
    *,
    baseline: Results | None = None,
    digests: Mapping[str, str] | None = None,
) -> list[str]:
    """What is selected (everything where nothing is said) and not excluded. Raises UsageError where that is nothing."""
    kept = list(checks) if select_ is None else select(checks, select_, baseline, digests)
    if not kept:
        raise UsageError(
            _nothing("--select", select_ or "", checks), remedy="`auditor list checks` shows what there is"
        )
    dropped = set() if exclude is None else set(select(checks, exclude, baseline, digests))
    kept = [name for name in kept if name not in dropped]
    if not kept:
        raise UsageError(f"--exclude {exclude!r} leaves no check", remedy="an empty selection never passes")
    return kept


def _test(
    term: str, union: str, baseline: Results | None, digests: Mapping[str, str] | None
) -> Callable[[str, Check], bool]:
    head, colon, tail = term.partition(":")
    method, glob = (head, tail) if colon else ("name", head)
    if not glob:
        raise UsageError(f"selection {union!r}: a term is empty", remedy="write terms as name:robust/* or robust/*")
    if method == "name":
        return lambda name, check: fnmatchcase(name, glob)
    if method == "type":
        return lambda name, check: fnmatchcase(check.type, glob)
    if method == "tag":
        return lambda name, check: any(fnmatchcase(tag, glob) for tag in check.tags)
    if method == "status":
        statuses = _statuses(_needed(baseline, term))
        return lambda name, check: any(fnmatchcase(status, glob) for status in statuses.get(name, ()))
    if method == "state":
        return _modified(glob, _needed(baseline, term), digests)
    raise UsageError(f"selection {union!r}: {method}: is not a method", remedy=f"use one of {', '.join(METHODS)}")


def _modified(glob: str, baseline: Results, digests: Mapping[str, str] | None) -> Callable[[str, Check], bool]:
    if glob != "modified":
        raise UsageError(f"state:{glob} is not known", remedy="the only state is state:modified")
    assert digests is not None, "state:modified compares digests, which exist once the checks are planned"
    before: dict[str, set[str]] = {}
    for task in baseline.run.tasks:
        for check in task.checks:
            before.setdefault(check, set()).add(task.digest)
    return lambda name, check: name not in digests or digests[name] not in before.get(name, ())


def _statuses(baseline: Results) -> dict[str, tuple[str, ...]]:
    return {
        finding.check: (finding.status.value, "waived") if finding.waived else (finding.status.value,)
        for finding in baseline.findings
    }


def _needed(baseline: Results | None, term: str) -> Results:
    if baseline is None:
        raise UsageError(f"{term} compares with an earlier run", remedy="name it with --baseline RUN")
    return baseline


def _nothing(option: str, expression: str, checks: Mapping[str, Check]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(expression, list(checks), n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return f"{option} {expression!r} selects none of {len(checks)} checks{hint}"
