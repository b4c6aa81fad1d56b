"""Linear branches put one after the other are one matrix, scalings in a row one scaling: no looser than the unrolled
matrix says.
"""

import math

import pytest
import torch
from torch import nn

from auditor.methods.robustness import bound_model, margin_bounds
from tests.methods.robustness.test_branches import Function, exact_margins, unrolled


def convolutions(**geometry):
    torch.manual_seed(0)
    return nn.ModuleList([nn.Conv2d(4, 3, **geometry), nn.Conv2d(4, 2, 1), nn.Conv2d(4, 4, 3, padding=1, groups=2)])


@pytest.mark.parametrize(
    "geometry",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 5, "padding": 2},
        {"kernel_size": 3, "padding": 2, "dilation": 2},
        {"kernel_size": (3, 1), "padding": (1, 0)},
    ],
)
@pytest.mark.parametrize("how", ["a, b", "a, x", "x, a, b, c", "2x, bn(a), c"])
def test_concatenated_convolutions_are_one(geometry, how):
    norm = nn.BatchNorm2d(3)
    norm.weight.data.uniform_(0.5, 2)
    forward = {
        "a, b": lambda self, x: (self.layer[0](x), self.layer[1](x)),
        "a, x": lambda self, x: (self.layer[0](x), x),
        "x, a, b, c": lambda self, x: (x, self.layer[0](x), self.layer[1](x), self.layer[2](x)),
        "2x, bn(a), c": lambda self, x: (2 * x, self.head(self.layer[0](x)), self.layer[2](x)),
    }[how]
    model = Function(lambda self, x: torch.cat(forward(self, x), 1).flatten(1), convolutions(**geometry), norm)
    exact = float(torch.linalg.svdvals(unrolled(model, (4, 12, 12)))[0])
    bound = bound_model(model, (4, 12, 12))
    assert exact <= bound.network <= exact * 1.12
    assert [layer.kind for layer in bound.layers].count("Concatenation") == 0


def test_a_stack_is_below_the_root_of_squares():
    model = Function(
        lambda self, x: torch.cat((self.layer[0](x), self.layer[1](x)), 1).flatten(1),
        convolutions(kernel_size=3, padding=1),
        nn.Identity(),
    )
    parts = [Function(lambda self, x: self.layer(x).flatten(1), model.layer[place], nn.Identity()) for place in (0, 1)]
    squares = math.hypot(*(bound_model(part, (4, 12, 12)).network for part in parts))
    assert bound_model(model, (4, 12, 12)).network < 0.95 * squares


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_two_heads_side_by_side_have_exact_margins(norm):
    torch.manual_seed(0)
    model = Function(
        lambda self, x: torch.cat((self.layer(x), -0.5 * self.head(x)), 1), nn.Linear(6, 3), nn.Linear(6, 2)
    )
    torch.testing.assert_close(margin_bounds(model, (6,), norm), exact_margins(model, (6,), norm), rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: torch.cat((self.layer[0](x)[:, :, ::2, ::2], self.layer[1](x)), 1),
        lambda self, x: torch.cat((self.layer[0](x), self.layer[2](x)), 1),
        lambda self, x: torch.cat((self.layer[0](x), self.layer[0](x).relu(), self.layer[0](x)), 1),
        lambda self, x: torch.cat((self.layer[0](x), self.layer[3](x)), 2),
    ],
    ids=["strides", "padding", "apart", "rows"],
)
def test_what_is_no_single_kernel_still_has_a_bound(forward):
    torch.manual_seed(0)
    layers = nn.ModuleList([
        nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 2, 3, stride=2, padding=1),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), nn.Conv2d(2, 3, 1),
    ])  # fmt: skip
    model = Function(lambda self, x: forward(self, x).flatten(1), layers, nn.Identity())
    matrix = unrolled(model, (2, 8, 8))
    assert float(torch.linalg.svdvals(matrix)[0]) <= bound_model(model, (2, 8, 8)).network < 8


def test_scalings_in_a_row_count_once():
    """A channel that one makes large and the next makes small is neither."""
    first, second = nn.BatchNorm1d(2, affine=True), nn.BatchNorm1d(2, affine=True)
    first.weight.data = torch.tensor([100.0, 0.01])
    second.weight.data = torch.tensor([0.01, 100.0])
    model = Function(lambda self, x: self.head(self.layer(x) / 2).abs(), first, second)
    exact = float(torch.linalg.svdvals(unrolled(lambda x: model.head(model.layer(x) / 2), (2,)))[0])
    bound = bound_model(model, (2,)).network
    assert exact * (1 - 1e-15) <= bound <= exact * (1 + 1e-9)
    assert bound < 1


def test_a_scaling_that_underflows_is_not_taken_for_nothing():
    tiny = torch.tensor([1e-200], dtype=torch.float64)
    model = Function(lambda self, x: (x * tiny) * tiny * 1e250 * 1e150, nn.Identity(), nn.Identity())
    assert bound_model(model, (1,)).network >= 1 - 1e-9
