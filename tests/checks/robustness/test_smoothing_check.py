"""`method: smoothing`, end to end: probabilistic, in chunks that resume, with room for rows that may be mistaken."""

import pytest
import torch
from torch import nn

from auditor.checks.robustness.certified import CertifiedRobustness
from auditor.checks.robustness.smoothing import CHUNK, sample_votes
from auditor.errors import NotAvailable
from auditor.records import EvidenceKind, Status
from auditor.run import Store
from auditor.statistics import clopper_pearson
from tests.support import make_check, plan_check, run_check

BODY = """\
epsilon: 0.25
method: {smoothing: {sigma: 0.25, samples: 400, first: 32}}
require: {metric: vra, at_least: 0.5}
"""


class Sign(nn.Module):
    """Two classes by the sign of the first feature; an operation in between that no Lipschitz bound is known for."""

    def __init__(self, slope=1.0):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x):
        first = torch.sort(x.flatten(1)[:, :1], dim=1).values * self.slope
        return torch.cat((first, -first), dim=1)


def rows(count=100, near=20):
    """First feature ±1, but for `near` rows at ±0.02."""
    x = torch.zeros(count, 1, 2, 2)
    y = torch.arange(count) % 2
    x[:, 0, 0, 0] = 1.0 - 2.0 * y
    x[:near] *= 0.02
    return x, y


def judged(body=BODY, **more):
    x, y = rows()
    return run_check(make_check(CertifiedRobustness, body, **more), model=Sign(), x=x, y=y)


def test_rows_far_from_the_boundary_are_certified_and_those_at_it_are_not():
    judgement = judged()
    finding = judgement.finding
    assert finding.evidence_kind is EvidenceKind.PROBABILISTIC
    assert finding.status is Status.PASS
    assert finding.metrics["vra"] == 0.8
    assert finding.metrics["abstained"] > 0.1
    assert finding.interval[0] == pytest.approx(clopper_pearson(80, 100, confidence=0.95).low - 0.001)
    points = judgement.tables["points"].to_pylist()
    assert [point["certified"] for point in points] == [False] * 20 + [True] * 80
    assert judgement.proved is None


def test_the_sample_claim_leaves_room_for_the_mistaken():
    finding = judged(BODY.replace("samples: 400", "samples: 400, alpha: 0.01"), claim="sample").finding
    assert finding.interval == (0.77, pytest.approx(finding.interval[1]))
    assert finding.interval[1] >= 0.8


def test_a_fragile_model_fails_where_its_clean_twin_passes():
    x, y = rows(near=0)
    clean = run_check(make_check(CertifiedRobustness, BODY), model=Sign(), x=x, y=y).finding
    inverted = run_check(make_check(CertifiedRobustness, BODY), model=Sign(-1.0), x=x, y=y).finding
    assert (clean.status, inverted.status) == (Status.PASS, Status.FAIL)
    close = run_check(make_check(CertifiedRobustness, BODY), model=Sign(), x=0.05 * x, y=y).finding
    assert close.metrics["vra"] == 0.0
    assert close.opens_when is not None


def test_it_is_one_task_a_chunk_and_resumes(tmp_path):
    x, y = rows()
    check = make_check(CertifiedRobustness, BODY)
    plan = plan_check(check, model=Sign(), x=x, y=y)
    chunks = [task for task in plan.tasks.values() if task.op is sample_votes]
    assert len(chunks) == -(-100 // CHUNK)
    store = Store(tmp_path)
    first = run_check(check, model=Sign(), x=x, y=y, store=store)
    relaxed = make_check(CertifiedRobustness, BODY.replace("at_least: 0.5", "at_least: 0.1"))
    again = plan_check(relaxed, model=Sign(), x=x, y=y)
    assert {task.digest for task in chunks} <= set(again.tasks)
    assert run_check(check, model=Sign(), x=x, y=y, store=store).finding == first.finding


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("epsilon: 0.25", "epsilon: 0.25\nnorm: linf"), "linf"),
        (("epsilon: 0.25", "epsilon: 0.25\nguarantee: {top_k: 1}"), "guarantee"),
        (("metric: vra", "metric: lipschitz_upper"), "lipschitz_upper"),
    ],
)
def test_what_it_cannot_do_is_said_before_it_runs(change, said):
    with pytest.raises(NotAvailable, match=said):
        judged(BODY.replace(*change))


def test_the_bare_word_takes_its_noise_from_epsilon():
    x, y = rows(8, near=0)
    bare = BODY.replace("{smoothing: {sigma: 0.25, samples: 400, first: 32}}", "smoothing")
    task = next(
        task
        for task in plan_check(make_check(CertifiedRobustness, bare), model=Sign(), x=x, y=y).tasks.values()
        if task.op is sample_votes
    )
    assert task.parameters["sigma"] == 0.25
