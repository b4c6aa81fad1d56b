"""From the model's own tensors to kernels: folded again by other code, they are what the run bounded."""

import copy
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from auditor.certificate.folding import kernel_of
from auditor.certificate.layers import MAPS
from auditor.certificate.verify import verify
from auditor.certificate.writing import CERTIFICATE, WEIGHTS, certificate_files, seal, written
from auditor.checks.robustness.stating import network_proof
from auditor.errors import RecordError
from auditor.methods.robustness import bound_model
from auditor.methods.robustness.folding import fold
from auditor.methods.robustness.graph import network
from auditor.records.certificate import COMPUTED, INDEX, Certificate, LayerProof, Part, Proved
from benchmarks.architectures import ARCHITECTURES, SHAPE, made
from tests.certificate.test_verify import CLAIM, NETWORKS, prove, write
from tests.methods.robustness.random_graphs import Graph
from tests.methods.robustness.random_layers import unrolled


def stated(model, shape, norm="l2"):
    return network_proof(model, shape, norm, bound_model(model, shape, norm))


class Shifted(nn.Module):
    """Constants of the code beside tensors of the model: a normalisation, a gain of a branch."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([2.0, 5.0]))
        self.register_buffer("std", torch.tensor([0.5, 0.2]))
        self.body, self.head = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(32, 3)

    def forward(self, x):
        x = (x - self.mean[:, None, None]) / self.std[:, None, None]
        return self.head(torch.relu(x - 0.1 * self.body(x)).flatten(1))


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_tensors_are_those_of_the_state_dict_bit_for_bit(build, norm):
    torch.manual_seed(0)
    model, _ = build()
    held = model.state_dict()
    _, tensors = prove(build, norm=norm)
    own = {name: value for name, value in tensors.items() if not name.startswith(INDEX)}
    assert own
    for name, value in own.items():
        assert value.dtype == np.float32
        assert value.tobytes() == held[name].numpy().tobytes()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_kernels_folded_again_are_those_of_the_run(norm):
    merged = set()
    for seed in range(60):
        model = Graph(seed).eval()
        proof, tensors = stated(model, model.shape, norm)
        pieces = fold(network(model, model.shape), norm)
        for layer, piece in zip(proof.layers, pieces, strict=True):
            if layer.kind not in MAPS or layer.kind == "transposed convolution":
                continue
            kernel, weight = kernel_of(layer, tensors, norm), piece.scale if piece.scale is not None else piece.weight
            assert kernel.weight.shape == tuple(weight.shape)
            assert kernel.axes == (None if piece.axes is None else tuple(map(tuple, piece.axes)))
            assert (kernel.groups, kernel.mode) == (piece.groups, piece.mode)
            size = float(weight.abs().max())
            np.testing.assert_allclose(kernel.weight, weight.numpy(), rtol=1e-13, atol=1e-15 * size)
            merged.add(layer.map.op)
    assert merged >= {"convolution", "dense", "then", "sum"}


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_networks_with_branches_are_proved_from_their_own_tensors(tmp_path, norm):
    for seed in range(12):
        model = Graph(seed).eval()
        proof, tensors = stated(model, model.shape, norm)
        found = verify(*write(tmp_path, proof, tensors))
        assert found.stands, (seed, found.refuted)
        # Only the numbers that stand in its code.
        assert all(tensors[name].size == 1 for name in found.origin.computed)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_that_people_train_are_proved_from_their_own_tensors(tmp_path, name):
    found = verify(*write(tmp_path, *stated(made(name, width=8), SHAPE)))
    assert found.refuted == found.unverified == ()
    assert found.origin.computed == ()


def test_a_tensor_that_is_larger_than_the_models_is_refuted(tmp_path):
    proof, tensors = prove(NETWORKS[2])
    for name in tensors:
        if not name.startswith(INDEX):
            larger = tensors[name] / 1.01 if "running_var" in name else tensors[name] * np.float32(1.01)
            assert verify(*write(tmp_path, proof, {**tensors, name: larger})).refuted, name


def test_what_the_code_computes_is_told_apart(tmp_path):
    torch.manual_seed(0)
    model = Shifted().eval()
    proof, tensors = stated(model, (2, 4, 4))
    found = verify(*write(tmp_path, proof, tensors))
    assert found.stands
    assert {"std", "body.weight", "head.weight"} <= set(tensors)
    assert "mean" not in tensors
    assert found.origin.computed == tuple(sorted(name for name in tensors if name.startswith(COMPUTED)))
    assert all(tensors[name].size == 1 for name in found.origin.computed)

    parametrised = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 3)).eval()
    found = verify(*write(tmp_path, *stated(parametrised, (4,))))
    assert found.stands
    (name,) = found.origin.computed
    assert name.startswith(f"{COMPUTED}0.")
    assert found.origin.held == 1


def saved(folder, model, form):
    path = folder / f"model.{form}"
    save_file(model.state_dict(), path) if form == "safetensors" else torch.save(model.state_dict(), path)
    return path


def certified(folder, proof, tensors, model):
    """As a run writes it, of that model file."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    for name, content in certificate_files([Proved(proof, tensors, CLAIM)], model=digest).items():
        (folder / name).write_bytes(content)
    return folder / CERTIFICATE, folder / WEIGHTS


@pytest.mark.parametrize("form", ["safetensors", "pt"])
def test_the_model_file_holds_every_tensor_of_the_certificate(tmp_path, form):
    torch.manual_seed(0)
    model, shape = NETWORKS[4]()
    proof, tensors = stated(model.eval(), shape)
    path = saved(tmp_path, model, form)
    found = verify(*certified(tmp_path, proof, tensors, path), path)
    assert found.stands
    assert found.origin.found == found.origin.held == 6

    with torch.no_grad():
        model.left.weight[0, 0, 0, 0] += 1e-7
        model.heads[1] = nn.Linear(1, 1)
    path = saved(
        tmp_path,
        SimpleNamespace(state_dict=lambda: {k: v for k, v in model.state_dict().items() if "heads.0" not in k}),
        form,
    )
    found = verify(*certified(tmp_path, proof, tensors, path), path)
    assert not found.stands
    assert found.refuted == (
        "tensor heads.0.weight: the model file has none of that name",
        "tensor heads.1.weight: the model file holds another",
        "tensor left.weight: the model file holds another",
    )


def test_of_equal_tensors_each_layer_names_its_own(tmp_path):
    model = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    proof, tensors = stated(model.eval(), (4, 2, 2))
    used = {name for layer in proof.layers if layer.map is not None for name in layer.map.tensors}
    assert used == {f"{place}.{name}" for place in "02" for name in ("running_var", "weight")} | {"5.weight"}
    assert verify(*write(tmp_path, proof, tensors)).stands


@pytest.mark.parametrize("form", ["safetensors", "pt"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tensors_keep_their_dtype_wherever_numpy_has_it(tmp_path, dtype, form):
    torch.manual_seed(0)
    model, shape = NETWORKS[2]()
    proof, tensors = stated(model.eval().to(dtype), shape)
    path = saved(tmp_path, model, form)
    found = verify(*certified(tmp_path, proof, tensors, path), path)
    assert found.stands
    assert found.origin.found == found.origin.held == 9
    kept = str(dtype).removeprefix("torch.").replace("bfloat16", "float32")
    assert {str(value.dtype) for name, value in tensors.items() if not name.startswith(INDEX)} == {kept}


def test_a_certificate_of_an_older_format_is_named_as_one(tmp_path):
    paths = write(tmp_path, *prove(NETWORKS[0]))
    paths[0].write_text(paths[0].read_text().replace("auditor-certificate/2", "auditor-certificate/1"))
    with pytest.raises(RecordError, match="auditor-certificate/1") as refused:
        verify(*paths)
    assert "audit the model again" in (refused.value.remedy or "")


@pytest.mark.parametrize(
    "change",
    [
        {"op": "whirl"},
        {"op": "sum", "options": {"signs": [2, 1]}},
        {"op": "then"},
        {"op": "normalization", "options": {"shape": [20, 12], "eps": -1e9}},
        {"op": "dense", "tensors": ("nowhere",)},
        {"op": "convolution", "options": {"axes": [], "groups": 0, "mode": "zeros"}},
    ],
)
def test_a_map_that_makes_no_sense_is_refuted(tmp_path, change):
    proof, tensors = prove(NETWORKS[0])
    place = next(place for place, layer in enumerate(proof.layers) if layer.kind == "dense")
    layer = proof.layers[place]
    odd = layer.model_copy(update={"map": layer.map.model_copy(update=change)})
    layers = (*proof.layers[:place], odd, *proof.layers[place + 1 :])
    found = verify(*write(tmp_path, proof.model_copy(update={"layers": layers}), tensors))
    assert layer.name in found.refuted[0]


def convolved(kernel, shape):
    """The matrix of a convolution, from its kernel and geometry alone, pixel by pixel."""
    weight, (axis, other) = kernel.weight, kernel.axes
    inputs = weight.shape[1]
    matrix = np.zeros((len(weight), axis.outputs, other.outputs, *shape))
    for out, row, column in np.ndindex(len(weight), axis.outputs, other.outputs):
        first = out // (len(weight) // kernel.groups) * inputs
        for channel, tap, across in np.ndindex(weight.shape[1:]):
            at = row * axis.stride - axis.before + tap * axis.dilation
            beside = column * other.stride - other.before + across * other.dilation
            if kernel.mode == "circular":
                at, beside = at % shape[1], beside % shape[2]
            if 0 <= at < shape[1] and 0 <= beside < shape[2]:
                matrix[out, row, column, first + channel, at, beside] += weight[out, channel, tap, across]
    return matrix.reshape(-1, int(np.prod(shape)))


def drawn(generator, stride, mode):
    """A convolution of 4 to 4 channels that keeps the size, but for its stride; its matrix, and itself as a part."""
    taps, dilation, groups = (int(generator.choice(among)) for among in ((1, 3), (1, 2), (1, 2, 4)))
    extent = (taps - 1) * dilation + 1
    layer = nn.Conv2d(4, 4, taps, stride, extent // 2, dilation, groups, bias=False, padding_mode=mode).double()
    axes = [[size, taps, extent // 2, extent // 2, stride, dilation] for size in (5, 6)]
    return layer, Part(
        op="convolution", tensors=("w",), options={"axes": axes, "groups": groups, "mode": mode}
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(15))
def test_sums_and_stacks_of_convolutions_are_what_their_matrices_are(seed):
    torch.manual_seed(seed)
    generator, shape = np.random.default_rng(seed), (4, 5, 6)
    stride, mode = int(generator.choice((1, 2))), str(generator.choice(("zeros", "circular")))
    (one, first), (other, second) = (drawn(generator, stride, mode) for _ in range(2))
    second = second.model_copy(update={"tensors": ("v",)})
    tensors = {"w": one.weight.detach().numpy(), "v": other.weight.detach().numpy()}
    matrices = [unrolled(layer, shape).T.numpy() for layer in (one, other)]
    for op, options, whole in (
        ("sum", {"signs": [1, -1]}, matrices[0] - matrices[1]),
        ("stack", {}, np.concatenate(matrices)),
    ):
        part = Part(op=op, of=(first, second), options=options)
        layer = LayerProof(name="x", kind="convolution", inputs=(-1,), input_shape=shape, output_shape=shape, map=part,
                           lipschitz_upper=1.0)  # fmt: skip
        np.testing.assert_allclose(convolved(kernel_of(layer, tensors, "l2"), shape), whole, atol=1e-14)


def test_convolutions_that_pad_or_step_differently_are_no_one_kernel():
    generator = np.random.default_rng(0)
    for strides, modes in (
        ((1, 2), ("zeros", "zeros")),
        ((1, 1), ("zeros", "circular")),
        ((1, 1), ("reflect", "reflect")),
    ):
        parts, tensors = [], {}
        for name, stride, mode in zip("wv", strides, modes, strict=True):
            part = None
            while part is None or part.options["axes"][0][1] == 1:
                layer, part = drawn(generator, stride, mode)
            parts.append(part.model_copy(update={"tensors": (name,)}))
            tensors[name] = layer.weight.detach().numpy()
        whole = Part(op="sum", of=tuple(parts), options={"signs": [1, 1]})
        layer = LayerProof(name="x", kind="convolution", inputs=(-1,), input_shape=(4, 5, 6), output_shape=(4, 5, 6),
                           map=whole, lipschitz_upper=1.0)  # fmt: skip
        with pytest.raises(ValueError, match="no one kernel"):
            kernel_of(layer, tensors, "l2")


ODD = (None, -1, 0, "x", [], 1e308, 10**30, True, {}, 0.5, 3)
"""What a hostile hand may write in place of a number, a name or a list."""


def places(value, path=()):
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(each, (*path, key))


@pytest.mark.parametrize("build", [NETWORKS[1], NETWORKS[2], NETWORKS[4]])
def test_whatever_is_written_into_a_layer_ends_in_words(tmp_path, build):
    """Under a fresh seal: refuted, refused, or harmless, but never a crash."""
    paths = write(tmp_path, *prove(build))
    raw, generator = json.loads(paths[0].read_text()), np.random.default_rng(0)
    layers = list(places(raw["proofs"][0]["layers"]))
    seen = set()
    for number in generator.choice(len(layers), 150).tolist():
        changed = copy.deepcopy(raw)
        at, (*way, last) = changed["proofs"][0]["layers"], layers[number]
        for key in way:
            at = at[key]
        at[last] = ODD[int(generator.integers(len(ODD)))]
        try:
            odd = Certificate.model_validate(changed)
        except ValueError:
            continue
        try:
            paths[0].write_bytes(written(odd.model_copy(update={"sha256": seal(odd)})))
        except ValueError:
            continue
        seen.add(verify(*paths).stands)
    assert seen == {True, False}
