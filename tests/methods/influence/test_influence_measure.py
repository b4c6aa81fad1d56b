"""Closed forms, the per-point reference, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from auditor.methods.influence import Slice, distribution, explain, influence, quantity


class Hinge(nn.Module):
    """f = (relu(x1 + x2 - 1), 0), whose line integrals are known."""

    def forward(self, x: Tensor) -> Tensor:
        first = torch.relu(x.sum(1, keepdim=True) - 1)
        return torch.cat([first, torch.zeros_like(first)], dim=1)


def test_closed_form_of_a_hinge() -> None:
    """From 0 to (a, b) the hinge has slope 1 on the last 1 - 1/(a+b) of the way."""
    x = torch.tensor([[1.0, 1.0], [3.0, 1.0], [0.2, 0.3]], dtype=torch.float64)
    chi = influence(
        Hinge(), x, quantity=quantity.Class(0), distribution=distribution.Linear(baseline=0.0), max_steps=1 << 16
    )
    expected = torch.tensor([0.5, 0.75, 0.0], dtype=torch.float64)
    torch.testing.assert_close(chi, expected.unsqueeze(1).expand(3, 2), rtol=1e-3, atol=1e-3)


def test_closed_form_of_a_probability() -> None:
    """On softmax(Wx) the gradient of p_c is p_c (w_c - Σ p_k w_k)."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    p = torch.softmax(model(x), 1).detach()
    weight = model.weight.detach()
    expected = p[:, 1:2] * (weight[1] - p @ weight)
    found = influence(model, x, quantity=quantity.Class(1, on="probability"))
    torch.testing.assert_close(found, expected)


def test_label_and_prediction_are_each_rows_own() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3).double()
    x = torch.randn(6, 4, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    weight = model.weight.detach()
    assert torch.equal(influence(model, x, quantity=quantity.Class("label"), labels=labels), weight[labels])
    predicted = model(x).argmax(1)
    assert torch.equal(influence(model, x, quantity=quantity.Class("predicted")), weight[predicted])
    found = explain(model, x, quantity=quantity.Class("label", against="predicted"), labels=labels)
    assert torch.equal(found.influence, weight[labels] - weight[predicted])
    assert torch.equal(found.prediction, predicted)


@pytest.mark.parametrize(
    "of_unit",
    [
        quantity.Neuron("head.0", 3),
        quantity.Neuron("blocks.1.0", (2, 1, 3)),
        quantity.Channel("blocks.1", 4),
        quantity.Channel("blocks.1", 4, reduce="max"),
    ],
    ids=str,
)
def test_units_within_the_network(of_unit, network: nn.Module, images: Tensor) -> None:
    """The quantity of a neuron or channel is its own value, read off the network by a hook."""
    seen: list[Tensor] = []
    handle = network.get_submodule(of_unit.layer).register_forward_hook(lambda _m, _i, output: seen.append(output))
    x = images.clone().requires_grad_()
    network(x)
    handle.remove()
    (out,) = seen
    match of_unit:
        case quantity.Neuron(index=int(index)):
            value = out[:, index]
        case quantity.Neuron(index=index):
            value = out[:, *index]
        case quantity.Channel(index=index, reduce=reduce):
            value = out[:, index].flatten(1).mean(1) if reduce == "mean" else out[:, index].flatten(1).amax(1)
    (expected,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(influence(network, images, quantity=of_unit), expected)


def test_channel_mean_makes_channels_the_units(network: nn.Module, images: Tensor) -> None:
    ask = {"quantity": quantity.Class(0)}
    full = influence(network, images, slice=Slice(layer="blocks.1"), **ask)
    reduced = influence(network, images, slice=Slice(layer="blocks.1", reduce="channel_mean"), **ask)
    torch.testing.assert_close(reduced, full.mean((2, 3)))


@pytest.mark.parametrize("layer", [None, "blocks.0", "head.1"])
@pytest.mark.parametrize("at", ["input", "slice"])
def test_line_agrees_with_a_loop_over_single_points(layer, at, network: nn.Module, images: Tensor) -> None:
    """64 trapezoids, point by point and layer by hook, against the batched path with its affine prefix."""
    steps, baseline = 64, 0.2
    found = influence(
        network,
        images,
        slice=Slice(layer=layer),
        quantity=quantity.Class(2),
        distribution=distribution.Linear(baseline, at=at),
        tolerance=0.0,
        max_steps=steps,
        batch_size=13,
    )
    for row in range(3):
        expected = torch.zeros_like(found[row])
        for k in range(steps + 1):
            weight = (0.5 if k in (0, steps) else 1.0) / steps
            expected += weight * _gradient(network, images[row : row + 1], layer, at, baseline, k / steps)[0]
        torch.testing.assert_close(found[row], expected, rtol=1e-9, atol=1e-12)


def _gradient(network: nn.Module, x: Tensor, layer: str | None, at: str, baseline: float, share: float) -> Tensor:
    """∇_z of logit 2 at one point of the line, the layer's output replaced by a hook."""
    if layer is None:
        point = (baseline + share * (x - baseline)).requires_grad_()
        return torch.autograd.grad(network(point)[0, 2], point)[0]
    cell: list[Tensor] = []

    def replace(_module, _inputs, output: Tensor) -> Tensor:
        z = output.detach()
        if at == "slice":
            z = baseline + share * (z - baseline)
        cell.append(z.requires_grad_())
        return cell[-1]

    handle = network.get_submodule(layer).register_forward_hook(replace)
    point = x if at == "slice" else baseline + share * (x - baseline)
    logit = network(point)[0, 2]
    handle.remove()
    return torch.autograd.grad(logit, cell[-1])[0]


@pytest.mark.parametrize("of_interest", [distribution.Point(), distribution.Linear(0.0), distribution.Linear("blur")])
def test_batching_changes_nothing(of_interest, network: nn.Module, images: Tensor) -> None:
    ask = {"quantity": quantity.Class(2), "distribution": of_interest, "max_steps": 64}
    whole = influence(network, images, batch_size=512, **ask)
    torch.testing.assert_close(influence(network, images, batch_size=1, **ask), whole, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(influence(network, images, batch_size=24, **ask), whole, rtol=1e-9, atol=1e-12)


def test_only_g_runs_along_a_line_in_the_slice(network: nn.Module, images: Tensor) -> None:
    calls = {"blocks.0": 0, "head.0": 0}
    for name in calls:
        layer = network.get_submodule(name)
        first = layer if name == "head.0" else layer[0]  # pyright: ignore[reportIndexIssue]

        def count(_module, inputs, name=name) -> None:
            calls[name] += len(inputs[0])

        first.register_forward_pre_hook(count)
    influence(
        network,
        images,
        slice=Slice(layer="blocks.1"),
        quantity=quantity.Class(0),
        distribution=distribution.Linear(0.0, at="slice"),
        tolerance=0.0,
        max_steps=256,
    )
    assert calls["head.0"] > 257 * len(images)
    assert calls["blocks.0"] < 10 * len(images)


def test_parameters_stay_as_they_were(network: nn.Module, images: Tensor) -> None:
    frozen = network.get_submodule("head.0")
    frozen.requires_grad_(False)
    before = {name: (p.requires_grad, p.clone()) for name, p in network.named_parameters()}
    influence(network, images, distribution=distribution.Linear(0.0))
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad == before[name][0]
        assert torch.equal(parameter, before[name][1])
        assert parameter.grad is None


def test_rows_stop_on_their_own(network: nn.Module, images: Tensor) -> None:
    """A row whose line crosses no kink takes the first round of steps, others go on."""
    x = torch.stack([images[0], torch.full_like(images[0], 0.01)])
    found = explain(network, x, quantity=quantity.Class(2), distribution=distribution.Linear(0.0099999), tolerance=1e-6)
    assert found.steps[1] == 16 < found.steps[0]


def test_the_residual_is_told_where_the_cap_is_reached(network: nn.Module, images: Tensor) -> None:
    found = explain(
        network, images, quantity=quantity.Class(2), distribution=distribution.Linear(0.0), tolerance=0.0, max_steps=16
    )
    assert (found.steps == 16).all()
    assert found.residual.max() > 0


def test_progress_counts_rows(network: nn.Module, images: Tensor) -> None:
    seen: list[tuple[int, int]] = []
    influence(network, images, batch_size=8, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 7), (4, 7), (6, 7), (7, 7)]


def test_tensor_baseline_is_one_for_all_or_one_a_row(network: nn.Module, images: Tensor) -> None:
    ask = {"quantity": quantity.Class(1), "units": "attribution"}
    number = influence(network, images, distribution=distribution.Linear(0.25), **ask)
    one = influence(network, images, distribution=distribution.Linear(torch.full((3, 1, 1), 0.25)), **ask)
    each = influence(network, images, distribution=distribution.Linear(torch.full_like(images, 0.25)), **ask)
    assert torch.equal(one, number)
    assert torch.equal(each, number)


def test_blur_keeps_flat_images_and_levels_others(images: Tensor) -> None:
    flat = torch.full((1, 2, 16, 16), 0.3, dtype=torch.float64)
    torch.testing.assert_close(distribution.blurred(flat), flat)
    noise = torch.rand(1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert distribution.blurred(noise).std() < 0.2 * noise.std()


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        ({"units": "attribution"}, "relative to a baseline"),
        ({"units": "attribution", "distribution": distribution.Gaussian(0.1)}, "relative to a baseline"),
        (
            {"units": "attribution", "distribution": distribution.Linear(0.0), "slice": Slice(layer="blocks.1")},
            "at='slice'",
        ),
        ({"quantity": quantity.Class("label")}, "pass labels"),
        (
            {"quantity": quantity.Class("label"), "labels": torch.zeros(3, dtype=torch.int64)},
            "expected 7 labels, one a row, found 3",
        ),
        ({"quantity": quantity.Class(5)}, "class 5 does not exist"),
        ({"distribution": distribution.Linear("mean")}, "pass it as a tensor"),
        ({"distribution": distribution.Linear(torch.zeros(2, 8, 8))}, "does not fit"),
        ({"distribution": distribution.Uniform("a", 0.0, 1.0)}, "one feature of a flat input"),
        ({"distribution": distribution.Population("train")}, "take the mean"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refuses_questions_without_an_answer(ask, says: str, network: nn.Module, images: Tensor) -> None:
    with pytest.raises(ValueError, match=says):
        influence(network, images, **ask)


def test_refuses_training_mode_where_rows_would_mix(images: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2)).double()
    with pytest.raises(ValueError, match="training mode"):
        influence(model, images)
    assert influence(model.eval(), images).shape == images.shape


def test_refuses_no_rows(network: nn.Module, images: Tensor) -> None:
    with pytest.raises(ValueError, match="at least one row"):
        influence(network, images[:0])
