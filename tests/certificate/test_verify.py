"""A certificate is proved again by other code; nothing in it, and nothing in its weights, can be changed unseen."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from auditor.certificate.norms import bounded
from auditor.certificate.verify import verify
from auditor.certificate.writing import CERTIFICATE, WEIGHTS, certificate_files, seal, written
from auditor.checks.robustness.stating import network_proof
from auditor.errors import HashMismatch, RecordError
from auditor.methods.robustness import bound_model
from auditor.methods.training.layers import MinMax
from auditor.records.certificate import Certificate, Claim, Proved

MODEL = b"the audited file"
CLAIM = Claim(
    check="robust/standard", norm="l2", epsilon=0.1, guarantee="standard", arithmetic="real", rows=9, certified=5, vra=4
)


def dense():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 7), nn.Tanh(), nn.Linear(7, 4)), (
        3,
        2,
        2,
    )


def convolutional():
    layers = [
        nn.Conv2d(3, 6, 3, padding=1), MinMax(1), nn.Conv2d(6, 6, 4, stride=2, padding=1, groups=2), nn.ReLU(),
        nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False), nn.LeakyReLU(0.3),
        nn.Conv2d(6, 5, 3, padding=1, padding_mode="reflect", dilation=1), nn.AdaptiveAvgPool2d((2, 3)),
        nn.Flatten(), nn.Linear(30, 4),
    ]  # fmt: skip
    return nn.Sequential(*layers), (3, 9, 8)


def normalised():
    layers = [
        nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3, padding=2, padding_mode="circular"), nn.BatchNorm2d(4), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1), nn.BatchNorm2d(4), nn.Sigmoid(), nn.Conv2d(4, 4, 3, stride=3),
        nn.Flatten(), nn.Linear(16, 3),
    ]  # fmt: skip
    model = nn.Sequential(*layers)
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d):
            with torch.no_grad():
                nn.init.uniform_(layer.running_var, 0.2, 3)
                nn.init.uniform_(layer.weight, -2, 2)
    return model, (2, 10, 10)


def headless():
    return nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv1d(3, 5, 6), nn.Flatten()), (2, 6)


class Branches(nn.Module):
    """Residual sums, one of them over layers that merge into one kernel, a concatenation, and a sum of two heads."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.left, self.right = nn.Conv2d(4, 3, 2), nn.Conv2d(4, 2, 2)
        self.heads = nn.ModuleList([nn.Linear(80, 3), nn.Linear(80, 3)])

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = x + self.second(x)
        x = x + torch.tanh(self.second(x))
        x = torch.cat((self.left(x), self.right(x)), dim=1).flatten(1)
        return self.heads[0](x) - self.heads[1](torch.relu(x))


def branched():
    return Branches(), (2, 5, 5)


def upwards():
    layers = [
        nn.Linear(6, 16), nn.GELU(), nn.Unflatten(1, (4, 2, 2)), nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2),
        nn.SiLU(), nn.ReflectionPad2d(1), nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(6, 2, 2, padding=1, dilation=2), nn.PReLU(2),
        nn.AvgPool2d(3, stride=2, divisor_override=5), nn.ELU(1.5), nn.Mish(), nn.Flatten(), nn.Linear(72, 4),
    ]  # fmt: skip
    return nn.Sequential(*layers), (6,)


NETWORKS = (dense, convolutional, normalised, headless, branched, upwards)


def prove(build, seed=0, norm="l2"):
    torch.manual_seed(seed)
    model, shape = build()
    model.eval()
    return network_proof(model, shape, norm, bound_model(model, shape, norm))


def write(folder, proof, tensors):
    claim = CLAIM.model_copy(update={"norm": proof.norm})
    for name, content in certificate_files(
        [Proved(proof, tensors, claim)], model=hashlib.sha256(MODEL).hexdigest()
    ).items():
        (folder / name).write_bytes(content)
    return folder / CERTIFICATE, folder / WEIGHTS


def resealed(path, change):
    """Another certificate under a seal of its own: what somebody writes who knows the format."""
    stated = Certificate.model_validate_json(path.read_bytes())
    changed = change(stated)
    path.write_bytes(written(changed.model_copy(update={"sha256": seal(changed)})))


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("seed", range(3))
def test_every_layer_and_every_constant_is_proved_again(tmp_path, build, seed, norm):
    proof, tensors = prove(build, seed, norm)
    found = verify(*write(tmp_path, proof, tensors))
    assert found.refuted == found.unverified == ()
    assert found.stands
    assert found.layers == len(proof.layers)


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_bound_below_the_norm_is_refuted_layer_by_layer(tmp_path, build, norm):
    proof, tensors = prove(build, norm=norm)
    for place, layer in enumerate(proof.layers):
        lower = layer.model_copy(update={"lipschitz_upper": layer.lipschitz_upper * (1 - 1e-6)})
        layers = (*proof.layers[:place], lower, *proof.layers[place + 1 :])
        found = verify(*write(tmp_path, proof.model_copy(update={"layers": layers}), tensors))
        assert found.refuted
        assert layer.name in found.refuted[0]


def test_constants_below_what_follows_are_refuted(tmp_path):
    proof, tensors = prove(dense)
    less = proof.model_copy(update={"network": proof.network * (1 - 1e-8)})
    assert "network" in verify(*write(tmp_path, less, tensors)).refuted[0]
    rows = [list(row) for row in proof.margins]
    rows[1][2] *= 1 - 1e-8
    less = proof.model_copy(update={"margins": tuple(map(tuple, rows))})
    (fault,) = verify(*write(tmp_path, less, tensors)).refuted
    assert "margins[1][2]" in fault


@pytest.mark.parametrize("name", [CERTIFICATE, WEIGHTS])
def test_one_changed_byte_is_seen_wherever_it_lies(tmp_path, name):
    paths = write(tmp_path, *prove(dense))
    whole = (tmp_path / name).read_bytes()
    generator = np.random.default_rng(0)
    for place in {0, len(whole) - 1, *generator.integers(len(whole), size=60).tolist()}:
        changed = bytearray(whole)
        changed[place] ^= 1
        (tmp_path / name).write_bytes(bytes(changed))
        with pytest.raises((HashMismatch, RecordError)):
            verify(*paths)
    (tmp_path / name).write_bytes(whole)
    assert verify(*paths).stands


def test_the_audited_file_is_the_one_that_was_audited(tmp_path):
    paths = write(tmp_path, *prove(dense))
    model = tmp_path / "m.pt"
    model.write_bytes(MODEL)
    assert verify(*paths, model).stands
    model.write_bytes(MODEL + b"\0")
    with pytest.raises(HashMismatch, match="the certificate speaks of"):
        verify(*paths, model)


def test_an_unknown_kind_is_listed_and_keeps_the_certificate_from_standing(tmp_path):
    proof, tensors = prove(dense)
    odd = proof.layers[1].model_copy(update={"kind": "Whirl"})
    layers = (proof.layers[0], odd, *proof.layers[2:])
    found = verify(*write(tmp_path, proof.model_copy(update={"layers": layers}), tensors))
    assert found.refuted == ()
    assert len(found.unverified) == 1
    assert "Whirl" in found.unverified[0]
    assert not found.stands


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_what_is_assumed_is_told_apart_from_what_is_proved(tmp_path, norm):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3)).eval()
    proof, tensors = network_proof(model, (6,), norm, bound_model(model, (6,), norm, assumed={"1": 7.5}))
    found = verify(*write(tmp_path, proof, tensors))
    assert found.stands
    assert found.layers == 2
    assert found.assumed == ("1 (LayerNorm): its constant 7.5 is the user's word",)
    less = proof.layers[1].model_copy(update={"lipschitz_upper": proof.layers[1].lipschitz_upper * (1 - 1e-6)})
    layers = (proof.layers[0], less, proof.layers[2])
    assert verify(*write(tmp_path, proof.model_copy(update={"layers": layers}), tensors)).refuted


def test_a_lie_under_a_fresh_seal_is_refuted(tmp_path):
    """Shapes that do not fit, a dropped layer, a layer that takes a later one's value, a claim without a proof."""
    proof, tensors = prove(convolutional)

    def lie(change):
        paths = write(tmp_path, proof, tensors)
        resealed(paths[0], change)
        return verify(*paths).refuted

    def layers(kept):
        return lambda stated: stated.model_copy(update={"proofs": (proof.model_copy(update={"layers": tuple(kept)}),)})

    assert lie(layers(proof.layers[1:]))
    assert lie(layers([proof.layers[0].model_copy(update={"inputs": (3,)}), *proof.layers[1:]]))
    convolution = proof.layers[0].map
    tighter = {**convolution.options, "axes": [[*axis[:2], 0, 0, *axis[4:]] for axis in convolution.options["axes"]]}
    other = convolution.model_copy(update={"options": tighter})
    assert lie(layers([proof.layers[0].model_copy(update={"map": other}), *proof.layers[1:]]))
    assert lie(lambda stated: stated.model_copy(update={"claims": (CLAIM.model_copy(update={"norm": "linf"}),)}))


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(3, 1, 9), (2, 5, 5), (1, 40, 17), (2, 17, 40)])
def test_a_matrix_is_bounded_from_its_norm_on_and_never_below(shape, dtype):
    generator = np.random.default_rng(1)
    for _ in range(20):
        stack = generator.uniform(-1, 1, shape).astype(dtype)
        if dtype is np.complex128:
            stack = stack + 1j * generator.uniform(-1, 1, shape)
        norm = np.linalg.norm(stack, 2, axis=(1, 2)).max()
        assert bounded(stack, norm * (1 + 1e-11))
        assert not bounded(stack, norm * (1 - 1e-13))


def test_neither_torch_nor_scipy_nor_our_own_methods_are_needed(tmp_path):
    write(tmp_path, *prove(convolutional))
    code = (
        "import sys\n"
        "for name in ('torch', 'scipy', 'auditor.methods', 'sklearn'):\n"
        "    sys.modules[name] = None\n"
        "from pathlib import Path\n"
        "from auditor.certificate.verify import verify\n"
        "print(verify(Path(sys.argv[1]), Path(sys.argv[2])).stands)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / CERTIFICATE), str(tmp_path / WEIGHTS)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "True"
