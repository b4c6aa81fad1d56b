"""Settings of torch that make float32 less than float32 are refused by name; Winograd is kept out of our own pass."""

import operator

import pytest
import torch
from torch import nn

from auditor.errors import Unsupported
from auditor.methods.robustness import bound_model
from auditor.methods.robustness.arithmetic import FPMATH, check_true_float32, plain_convolutions
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.met_pass import MetPass

BY_LAYER = hasattr(torch.backends.mkldnn, "matmul")
"""Whether this torch sets the precision of each kind of layer."""


@pytest.fixture
def set_precision():
    """Sets a backend's precision; what it was comes back."""
    changed = []

    def set_to(backend, value):
        changed.append((backend, backend.fp32_precision))
        backend.fp32_precision = value

    yield set_to
    for backend, before in reversed(changed):
        backend.fp32_precision = before


def test_the_defaults_of_the_cpu_are_float32():
    check_true_float32("cpu")


@pytest.mark.skipif(not BY_LAYER, reason="torch before 2.9 has one setting for all")
@pytest.mark.parametrize(
    ("device", "value", "name"),
    [
        ("cpu", "bf16", "mkldnn.matmul"),
        ("cpu", "tf32", "mkldnn.conv"),
        ("cuda", "tf32", "cuda.matmul"),
        ("cuda", "tf32", "cudnn.conv"),
    ],
)
def test_lower_precision_is_refused_by_name(set_precision, device, value, name):
    backend = operator.attrgetter(name)(torch.backends)
    set_precision(torch.backends.cudnn.conv, "ieee")
    set_precision(torch.backends.cuda.matmul, "ieee")
    check_true_float32(device)
    set_precision(backend, value)
    with pytest.raises(Unsupported, match=name) as refused:
        check_true_float32(device)
    assert name in str(refused.value.node)


@pytest.mark.skipif(BY_LAYER, reason="torch from 2.9 on has a setting for each kind of layer")
def test_lower_precision_of_all_layers_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    for device, name in (("cpu", "mkldnn.matmul"), ("cuda", "cuda.matmul")):
        check_true_float32(device)
        torch.set_float32_matmul_precision("medium")
        try:
            with pytest.raises(Unsupported, match=name):
                check_true_float32(device)
        finally:
            torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True
    with pytest.raises(Unsupported, match=r"cudnn\.conv"):
        check_true_float32("cuda")


@pytest.mark.parametrize("name", FPMATH)
def test_the_environment_of_onednn_is_read(monkeypatch, name):
    monkeypatch.setenv(name, "strict")
    check_true_float32("cpu")
    monkeypatch.setenv(name, "BF16")
    with pytest.raises(Unsupported, match=name):
        check_true_float32("cpu")


def test_autocast_is_refused_by_the_pass_itself():
    model = nn.Sequential(nn.Linear(3, 2)).requires_grad_(False)
    run = MetPass(network(model, (3,)), bound_model(model, (3,), arithmetic="float32"))
    x = torch.ones(1, 3)
    assert torch.equal(run(x).logits, model(x))
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(Unsupported, match="autocast"):
        run(x)


def test_libraries_that_may_choose_winograd_are_off_within_and_back_after():
    before = torch._C._get_nnpack_enabled(), torch.backends.cudnn.enabled
    with plain_convolutions():
        assert not torch._C._get_nnpack_enabled()
        assert not torch.backends.cudnn.enabled
    assert (torch._C._get_nnpack_enabled(), torch.backends.cudnn.enabled) == before


def test_onednn_is_asked_for_direct_convolutions(capfd):
    """What `plain_convolutions` leaves to oneDNN rests on this."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch has no oneDNN here")
    layer, x = nn.Conv2d(16, 16, 3, padding=1), torch.rand(32, 16, 16, 16)
    verbose = torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON)
    with torch.inference_mode(), plain_convolutions(), verbose:
        layer(x)
    told = [line for line in capfd.readouterr().out.splitlines() if ",convolution," in line]
    assert told
    assert all("alg:convolution_direct" in line for line in told)
