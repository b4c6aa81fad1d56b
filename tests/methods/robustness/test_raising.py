"""Radii raised by other proofs: what is not proved keeps its own, and everything else follows from the radii."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from auditor.methods.robustness import certify
from auditor.methods.robustness.raising import raised
from auditor.terms import Affinity, Standard, TopK


@given(
    st.integers(0, 2**16),
    st.sampled_from([Standard(), TopK(3), Affinity(((0, 1), (1, 2, 3)))]),
    st.floats(0.01, 3.0),
)
def test_what_is_proved_raises_the_radius_and_all_that_follows(seed, guarantee, epsilon):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(12, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(5, (12,), generator=generator)
    constants = 1.0 - torch.eye(5, dtype=torch.float64)
    before = certify(logits, constants, epsilon, guarantee, labels=labels)
    held = torch.rand(before.radii.shape, generator=generator) < 0.3
    order = logits.argsort(dim=1, descending=True, stable=True)
    after = raised(before, held, order, epsilon, labels=labels)
    assert after.vra_radius is not None
    for row in range(12):
        radii = [
            max(float(before.radii[row, place]), epsilon if held[row, place] and before.admissible[row, place] else 0)
            for place in range(before.radii.shape[1])
        ]
        assert after.radii[row].tolist() == radii
        sizes = [place + 1 for place, radius in enumerate(radii) if radius >= epsilon]
        assert int(after.k[row]) == max(sizes, default=0)
        assert bool(after.certified[row]) == bool(sizes)
        robust = set(after.robust_set[row].nonzero().flatten().tolist())
        assert robust == set(order[row, : max(sizes, default=0)].tolist())
        assert float(after.radius[row]) == max(radii)
        holding = [radius for k, radius in enumerate(radii, start=1) if int(labels[row]) in order[row, :k].tolist()]
        assert float(after.vra_radius[row]) == max(holding, default=0.0)


def test_nothing_proved_changes_nothing():
    logits = torch.tensor([[3.0, 1.0, 0.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    before = certify(logits, 1.0 - torch.eye(3, dtype=torch.float64), 0.5, TopK(2), labels=torch.tensor([0, 1]))
    order = logits.argsort(dim=1, descending=True, stable=True)
    after = raised(before, torch.zeros(2, 2, dtype=torch.bool), order, 0.5, labels=torch.tensor([0, 1]))
    for one, other in zip(before, after, strict=True):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)
