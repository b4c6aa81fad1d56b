"""Cuts: g(h(x)) = f(x), shared parameters, and what is no slice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.influence import Slice, cut, distribution, influence, quantity
from auditor.methods.influence.slices import affine_prefix


class Residual(nn.Module):
    """stem -> body, with a skip around body's two layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Linear(4, 6)
        self.body = nn.Sequential(nn.ReLU(), nn.Linear(6, 6))
        self.head = nn.Linear(6, 3)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        z = self.stem(x)
        return self.head(z + self.body(z))


X = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layer", ["stem", "head"])
def test_a_skip_is_no_obstacle_where_it_does_not_go_around_the_slice(layer: str) -> None:
    model = Residual()
    h, g = cut(model, Slice(layer=layer))
    torch.testing.assert_close(g(h(X)), model(X))


def test_the_input_of_a_layer_before_the_skip_is_a_slice() -> None:
    """The input of body is also what the skip carries, so g is a function of it."""
    model = Residual()
    h, g = cut(model, Slice(layer="body", at="input"))
    torch.testing.assert_close(h(X), model.stem(X))
    torch.testing.assert_close(g(h(X)), model(X))


@pytest.mark.parametrize("layer", ["body", "body.0", "body.1"])
def test_a_bypassed_slice_is_refused(layer: str) -> None:
    with pytest.raises(Unsupported, match="bypassed") as refused:
        influence(Residual(), X, slice=Slice(layer=layer))
    assert refused.value.code == "bypassed"


def test_a_quantity_inside_the_bypassed_branch_is_allowed() -> None:
    """q = a unit of body depends on body.0's output alone."""
    chi = influence(Residual(), X, slice=Slice(layer="body.0"), quantity=quantity.Neuron("body", 2))
    torch.testing.assert_close(chi, Residual().body[1].weight[2].detach().expand(5, 6))


def test_an_unknown_layer_is_named_with_those_there_are() -> None:
    with pytest.raises(Unsupported, match=r"no layer 'stam'[\s\S]*body, body.0, body.1, head, stem"):
        cut(Residual(), Slice(layer="stam"))


def test_a_layer_called_twice_is_refused() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(torch.relu(self.layer(x)))

    with pytest.raises(Unsupported, match="2 times in one forward pass"):
        cut(Twice(), Slice(layer="layer"))


def test_a_network_that_branches_on_values_can_only_be_asked_at_its_input() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2).double()

        def forward(self, x: Tensor) -> Tensor:
            z = self.layer(x)
            return z if z.sum() > 0 else -z

    with pytest.raises(Unsupported, match="cannot be cut"):
        cut(Branching(), Slice(layer="layer"))
    assert influence(Branching(), X, distribution=distribution.Linear(0.0)).shape == X.shape


def test_layers_go_by_the_networks_own_names_within_a_wrapper() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.normalize, self.network = nn.Identity(), Residual()

        def forward(self, x: Tensor) -> Tensor:
            return self.network(self.normalize(x))

    ask = {"slice": Slice(layer="stem"), "quantity": quantity.Class(0)}
    assert torch.equal(influence(Wrapper(), X, **ask), influence(Residual(), X, **ask))


def test_the_affine_prefix_is_as_long_as_it_can_be() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 9, 3), nn.Flatten(), nn.Linear(36, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    x = torch.randn(4, 2, 4, 4, dtype=torch.float64)
    h, g = affine_prefix(model, x)
    assert h(x).shape == (4, 5)
    torch.testing.assert_close(g(h(x)), model(x))
    torch.testing.assert_close(h(0.5 * (x + x.flip(0))), 0.5 * (h(x) + h(x.flip(0))))


def test_the_affine_prefix_ends_before_it_widens_the_input() -> None:
    model = nn.Sequential(nn.Identity(), nn.Conv2d(2, 9, 3), nn.ReLU())
    x = torch.randn(4, 2, 4, 4)
    h, g = affine_prefix(model, x)
    assert torch.equal(h(x), x)
    assert torch.equal(g(x), model(x))


def test_scaling_in_python_code_is_affine_and_squaring_is_not() -> None:
    class Scaled(nn.Module):
        def __init__(self, square: bool) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor([0.5]))
            self.square, self.head = square, nn.Sequential(nn.Linear(4, 3), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            z = (x - self.mean) / 2.0
            return self.head(z * z if self.square else z)

    x = torch.randn(4, 4)
    for square in (False, True):
        h, _ = affine_prefix(Scaled(square), x)
        assert h(x).shape == (4, 4 if square else 3)
        torch.testing.assert_close(h(0.5 * (x + x.flip(0))), 0.5 * (h(x) + h(x.flip(0))))
