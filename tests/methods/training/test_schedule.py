import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.methods.training import Schedule

SHAPES = st.sampled_from(["linear", "log", "exponential"])
POSITIVE = st.floats(1e-6, 1e3)
FRACTION = st.floats(0, 1)


@given(SHAPES, POSITIVE, POSITIVE, st.floats(0, 0.49), st.floats(0.5, 1), FRACTION, FRACTION)
def test_schedule_runs_monotonically_from_start_to_end(shape, start, end, after, until, one, two):
    schedule = Schedule(start, end, shape, after, until)
    assert schedule.at(0.0) == pytest.approx(start)
    assert schedule.at(after) == pytest.approx(start)
    assert schedule.at(until) == pytest.approx(end)
    assert schedule.at(1.0) == pytest.approx(end)
    early, late = sorted((one, two))
    rise = schedule.at(late) - schedule.at(early)
    assert rise * (end - start) >= -1e-9 * max(start, end) ** 2


def test_shapes_differ_at_half_time():
    assert Schedule(1.0, 4.0).at(0.5) == pytest.approx(2.5)
    assert Schedule(1.0, 4.0, "exponential").at(0.5) == pytest.approx(2.0)
    assert 2.5 < Schedule(1.0, 4.0, "log").at(0.5) < 4.0


def test_constant_without_an_end():
    assert Schedule(0.141).at(0.7) == 0.141


@pytest.mark.parametrize("kwargs", [{"after": 0.6, "until": 0.5}, {"after": -0.1}, {"until": 1.1}])
def test_fractions_out_of_order_are_refused(kwargs):
    with pytest.raises(ValueError, match="after"):
        Schedule(1.0, 2.0, **kwargs)


def test_exponential_from_zero_is_refused():
    with pytest.raises(ValueError, match="positive"):
        Schedule(0.0, 1.0, "exponential")
