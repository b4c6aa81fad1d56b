"""An audit inside a test suite: each finding is one test.

    @pytest.mark.audit("specs/x.yaml", "model.pt")
    def test_model(finding): ...

The audit runs once a session. A finding that the gate would block on fails its test with the gate's own sentence; a
waived one is an expected failure; a check of severity `warn` or `info` only warns; a skipped one skips. The function's
body, which may be empty, sees the `finding` and may ask more of it. Further arguments of the mark go to
`auditor.check`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from auditor.records import Finding, Results

MARK = "audit(spec, model, **options): audit a model; each finding is one test (see auditor.pytest_plugin)"


class AuditWarning(UserWarning):
    """A check that does not block did not pass."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per selected check, known from the spec alone."""
    mark = metafunc.definition.get_closest_marker("audit")
    if mark is None:
        return
    spec, _, options = _arguments(mark, metafunc.config)
    from auditor.audit.prepare import read_spec
    from auditor.errors import AuditorError
    from auditor.plan.selection import choose

    try:
        checks = read_spec(spec).checks
        readable = not any(
            "status:" in text or "state:" in text for text in (options.get("select"), options.get("exclude")) if text
        )
        names = choose(checks, options.get("select"), options.get("exclude")) if readable else list(checks)
    except AuditorError as error:
        pytest.fail(str(error), pytrace=False)
    if "finding" not in metafunc.fixturenames:
        metafunc.fixturenames.append("finding")
    metafunc.parametrize("finding", names, indirect=True)


@pytest.fixture
def finding(request: pytest.FixtureRequest) -> Finding:
    """The finding of one check of the audit that the test is marked with."""
    mark = request.node.get_closest_marker("audit")
    if mark is None:
        pytest.fail("the fixture `finding` needs @pytest.mark.audit(spec, model)", pytrace=False)
    return _results(mark, request.config).finding(request.param)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Before the test's body: the gate's word on its finding."""
    mark = item.get_closest_marker("audit")
    found = getattr(item, "funcargs", {}).get("finding")
    if mark is not None and found is not None:
        _judge(found, _results(mark, item.config))


_RESULTS = pytest.StashKey[dict[str, Any]]()


def _results(mark: pytest.Mark, config: pytest.Config) -> Results:
    """The audit's results, computed once a session; what stopped it stops every test of it."""
    from auditor.audit import check
    from auditor.errors import AuditorError, RenderError

    spec, model, options = _arguments(mark, config)
    known = config.stash.setdefault(_RESULTS, {})
    key = repr((spec, model, sorted(options.items(), key=lambda item: item[0])))
    if key not in known:
        try:
            known[key] = check(spec, model, **{"formats": ["json"], **options})
        except RenderError:
            raise
        except AuditorError as error:
            known[key] = error
    if isinstance(known[key], AuditorError):
        pytest.fail(str(known[key]), pytrace=False)
    return known[key]


def _judge(found: Finding, results: Results) -> None:
    """Fails, skips or warns as the gate sees the finding."""
    from auditor.gate import sentence
    from auditor.records import Status

    reasons = [reason.text for reason in results.verdict.reasons if reason.check == found.check]
    if reasons:
        pytest.fail(f"{found.check}: {' '.join(reasons)}", pytrace=False)
    if found.waived is not None:
        pytest.xfail(f"waived until {found.waived.expires} by {found.waived.owner}: {sentence(found)}")
    if found.status is Status.SKIPPED:
        pytest.skip(found.reason or "skipped")
    if found.status is not Status.PASS:
        warnings.warn(AuditWarning(f"{found.check} (severity {found.severity}): {sentence(found)}"), stacklevel=1)


def _arguments(mark: pytest.Mark, config: pytest.Config) -> tuple[Path, Path, dict[str, Any]]:
    """Spec, model and options of the mark. Relative paths start from the working directory, then from pytest's root."""
    if len(mark.args) != 2:
        pytest.fail('write @pytest.mark.audit("specs/x.yaml", "model.pt")', pytrace=False)
    spec, model = (Path(argument) for argument in mark.args)
    found = [path if path.is_absolute() or path.exists() else config.rootpath / path for path in (spec, model)]
    return found[0], found[1], dict(mark.kwargs)
