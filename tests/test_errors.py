"""Every error crosses a process border unchanged: workers raise them, the parent reports them."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from auditor import errors

EXAMPLES = [
    errors.SpecErrors([errors.SpecProblem("s.yaml", 2, 3, "unknown-key", "no key 'x'", "remove it")]),
    errors.Unsupported("no bound for Softmax", node="network.2", remedy="replace it"),
    errors.CertificateBroken("row 3 flips", witness={"input": np.arange(3.0)}),
    *(
        kind("what", remedy="do this", code="other")
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.AuditorError) and kind is not errors.SpecErrors
    ),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_survive_pickling(error: errors.AuditorError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert again.__dict__.keys() == error.__dict__.keys()
    assert (again.code, again.remedy, again.exit_code) == (error.code, error.remedy, error.exit_code)
    for name, value in error.__dict__.items():
        np.testing.assert_equal(again.__dict__[name], value)


def test_problems_of_one_place_are_ordered_whether_or_not_they_have_a_remedy() -> None:
    problem = errors.SpecProblem("s.yaml", 2, 3, "range", "too large")
    bare, helped = problem, dataclasses.replace(problem, remedy="lower it")
    later = dataclasses.replace(problem, line=10)
    assert errors.SpecErrors([later, helped, bare]).problems == [bare, helped, later]
