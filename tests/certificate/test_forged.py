"""What somebody writes who knows the format, and seals it afresh: constants or weights that the model does not have."""

import hashlib
import io
import json
import math
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

from auditor.certificate.model_file import model_tensors
from auditor.certificate.verify import verify
from auditor.certificate.writing import CERTIFICATE, WEIGHTS, certificate_files
from auditor.checks.robustness.stating import network_proof
from auditor.errors import DataError
from auditor.methods.robustness import bound_model
from auditor.records.certificate import Claim, LayerProof, Proved

CLAIM = Claim(
    check="robust/standard", norm="l2", epsilon=0.1, guarantee="standard", arithmetic="real", rows=9, certified=5, vra=4
)
LESS = np.float32(0.5)


class Residual(nn.Module):
    """A branch that is zero, as some are initialised, and weights far below what float16 holds."""

    def __init__(self):
        super().__init__()
        self.small, self.large, self.zero, self.head = (nn.Linear(4, each) for each in (4, 4, 4, 3))
        with torch.no_grad():
            self.zero.weight.zero_()
            self.small.weight.mul_(1e-8)
            self.large.weight.mul_(1e8)

    def forward(self, x):
        x = torch.relu(self.large(torch.relu(self.small(x))))
        return self.head(x + torch.relu(self.zero(x)))


@pytest.fixture
def honest(tmp_path):
    torch.manual_seed(0)
    model = Residual().eval()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    return network_proof(model, (4,), "l2", bound_model(model, (4,)))


def verified(folder, proof, tensors):
    model = folder / "model.pt"
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    for name, content in certificate_files([Proved(proof, tensors, CLAIM)], model=digest).items():
        (folder / name).write_bytes(content)
    return verify(folder / CERTIFICATE, folder / WEIGHTS, model)


def changed(proof, name, **fields):
    layers = tuple(layer.model_copy(update=fields) if layer.name == name else layer for layer in proof.layers)
    return proof.model_copy(update={"layers": layers})


def lowered(proof, factor):
    margins = tuple(tuple(each * factor for each in row) for row in proof.margins)
    return proof.model_copy(update={"network": proof.network * factor, "margins": margins})


def of(proof, name):
    return next(layer for layer in proof.layers if layer.name == name)


def renamed(proof, tensor):
    """The constants of weights half as large in `large`, taken from `tensor`."""
    layer = of(proof, "large")
    part = layer.map.model_copy(update={"tensors": (tensor,)})
    return lowered(changed(proof, "large", map=part, lipschitz_upper=layer.lipschitz_upper * float(LESS)), float(LESS))


def test_the_certificate_that_is_forged_below_stands(tmp_path, honest):
    assert verified(tmp_path, *honest).stands


def test_a_negative_constant_of_a_branch_that_is_zero_is_refuted(tmp_path, honest):
    proof, tensors = honest
    found = verified(tmp_path, lowered(changed(proof, "zero", lipschitz_upper=-0.999), 1e-2), tensors)
    assert found.refuted == ("zero (dense): -0.999 could not be proved",)


@pytest.mark.parametrize("name", ["index/large", "large.weight"])
def test_no_tensor_escapes_the_comparison_by_its_name(tmp_path, honest, name):
    """Among positions, or under a name by which the model file's own tensor stands beside it."""
    proof, tensors = honest
    true = {"network.large.weight": tensors["large.weight"]} if name == "large.weight" else {}
    found = verified(tmp_path, renamed(proof, name), {**tensors, name: tensors["large.weight"] * LESS, **true})
    assert any(f"tensor {name}" in fault for fault in found.refuted)


def test_a_tensor_rounded_to_another_dtype_is_not_the_models(tmp_path, honest):
    proof, tensors = honest
    proof = lowered(changed(proof, "small", lipschitz_upper=0.0), 0.0)
    found = verified(tmp_path, proof, {**tensors, "small.weight": tensors["small.weight"].astype(np.float16)})
    assert found.refuted == ("tensor small.weight: the model file holds another",)


@pytest.mark.parametrize("margin", [-math.inf, math.nan, 0.5])
def test_a_layer_without_a_bound_leaves_no_margin_one(tmp_path, honest, margin):
    proof, tensors = honest
    margins = tuple(tuple(margin if i != j else 0.0 for j in range(3)) for i in range(3))
    proof = changed(proof, "small", lipschitz_upper=math.inf).model_copy(update={"margins": margins})
    assert verified(tmp_path, proof, tensors).refuted


def test_margins_of_other_shape_than_the_logits_are_refuted_before_anything_is_computed(tmp_path, honest):
    proof, tensors = honest
    (fault, *_) = verified(tmp_path, changed(proof, "head", output_shape=(1 << 40,)), tensors).refuted[-1:]
    assert fault == f"margins: (3, 3) are stated for {1 << 40} logits"


def archive(state):
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def joined(*parts):
    """One archive with the files of several, each under a folder."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for folder, content in parts:
            held = zipfile.ZipFile(io.BytesIO(content))
            for name in held.namelist():
                made.writestr(f"{folder}/{name.partition('/')[2]}", held.read(name))
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_two_readers_may_read_differently_is_refused(tmp_path):
    one, other = archive({"a": torch.ones(2)}), archive({"a": torch.zeros(2)})
    path = tmp_path / "model.pt"
    path.write_bytes(joined(("a", one)))
    assert set(model_tensors(path) or ()) == {"a"}
    for content in (
        joined(("a", one), ("a", other)),
        joined(("a", one), ("b", other)),
        joined(("a", one), ("A", other)),
        joined(("a/b", one)),
        one + other,
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match="it holds"):
            model_tensors(path)


def test_a_name_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": np.ones(2, dtype=np.float32)}, path)
    content = path.read_bytes()
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    entry = json.dumps(json.loads(header)["a"])
    twice = f'{{"a": {entry}, "a": {entry}}}'.encode()
    path.write_bytes(len(twice).to_bytes(8, "little") + twice + bytes(8))
    with pytest.raises(DataError, match="twice"):
        model_tensors(path)


def instead(proof, place, *layers):
    """`layers`, one after the other, in the place of one."""
    more = len(layers) - 1
    later = [
        layer.model_copy(update={"inputs": tuple(each + more if each >= place else each for each in layer.inputs)})
        for layer in proof.layers[place + 1 :]
    ]
    return proof.model_copy(update={"layers": (*proof.layers[:place], *layers, *later)})


def layer(kind, inputs, input_shape, output_shape, lipschitz, **options):
    return LayerProof(
        name=kind,
        kind=kind,
        inputs=inputs,
        input_shape=input_shape,
        output_shape=output_shape,
        options=options,
        lipschitz_upper=lipschitz,
    )


def test_a_layer_that_is_left_out_shows_by_its_weights(tmp_path, honest):
    proof, tensors = honest
    place = proof.layers.index(of(proof, "large"))
    proof = lowered(instead(proof, place, layer("Identity", (place - 1,), (4,), (4,), 1.0)), 1e-7)
    assert verified(tmp_path, proof, tensors).refuted == ("tensor large.weight: no layer is made of it",)
    del tensors["large.weight"]
    found = verified(tmp_path, proof, tensors)
    # What the model's code applies is the run's word; that it should not apply these is said.
    assert found.origin.unused == ("large.weight",)


@pytest.mark.parametrize(
    "layers",
    [
        lambda source: [
            layer("total", (source,), (4,), (4 * 10**30,), 1e-14, mean=False),
            layer("Reshape", (source + 1,), (4 * 10**30,), (4,), 1.0),
        ],
        lambda source: [layer("total", (source,), (4,), (-4, -(10**30)), 1e-14, mean=False)],
        lambda source: [
            layer("average pooling", (source,), (4,), (4,), 1e-14, kernel_size=[], stride=[], padding=[],
                  ceil_mode=False, count_include_pad=True, divisor_override=10**14)
        ],
    ],
)  # fmt: skip
def test_shapes_that_no_layer_has_are_refuted(tmp_path, honest, layers):
    proof, tensors = honest
    place = proof.layers.index(of(proof, "large"))
    del tensors["large.weight"]
    assert verified(tmp_path, lowered(instead(proof, place, *layers(place - 1)), 1e-20), tensors).refuted


def test_sums_of_sums_take_no_longer_than_they_are_many(tmp_path, honest):
    proof, tensors = honest
    head = of(proof, "head").model_copy(update={"inputs": (-1,)})
    sums = [layer("sum", (place, place), (3,), (3,), 1.0) for place in range(60)]
    many = proof.model_copy(update={"layers": (head, *sums)})
    margins = tuple(tuple(each * 2.0**60 * 1e9 for each in row) for row in proof.margins)
    many = many.model_copy(update={"network": 1e30, "margins": margins})
    assert verified(tmp_path, many, {"head.weight": tensors["head.weight"]}).stands
