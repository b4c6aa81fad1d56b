"""Weights into architectures: what fits, and what is said when it does not."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.func import functional_call

from auditor.errors import HashMismatch, ModelError
from auditor.loading import load_model
from tests.loading.sections import section

CODE = """
from torch import nn
from helper import activation

def build(width=4, classes=2):
    return nn.Sequential(nn.Linear(3, width), activation(), nn.Linear(width, classes))

class Pair(nn.Module):
    def forward(self, x):
        return x, x

def broken(width):
    raise RuntimeError("no such width")

def nothing():
    return 3
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "helper.py").write_text("from torch import nn\nactivation = nn.ReLU\n")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    torch.save(network.state_dict(), tmp_path / "model.pt")
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, tmp_path / "checkpoint.pt")
    torch.save(network.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save(network, tmp_path / "network.pkl")
    return tmp_path


def reference(folder) -> nn.Module:
    return torch.load(folder / "network.pkl", weights_only=False).eval()


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "checkpoint.pt", "old.pt"])
def test_the_loaded_model_computes_what_the_saved_one_did(folder, name):
    model = load_model(section("net.py:build"), folder / name, base=folder)
    x = torch.rand(7, 3)
    assert torch.equal(model(x), reference(folder)(x))
    assert model.layer_names() == ("0", "1", "2")
    assert model.layer("2") is model.network[2]
    assert model.parameter_count == 3 * 4 + 4 + 4 * 2 + 2
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("stem", ["code", "models", "constants", "data", "archive_format", "aotinductor"])
def test_no_name_makes_a_state_dict_look_unsafe(folder, stem):
    torch.save(reference(folder).state_dict(), folder / f"{stem}.pt")
    assert load_model(section("net.py:build"), folder / f"{stem}.pt", base=folder).parameter_count == 26


def test_an_architecture_from_a_package(folder):
    torch.save(nn.Linear(3, 2).state_dict(), folder / "linear.pt")
    arguments = {"in_features": 3, "out_features": 2}
    model = load_model(section("torch.nn:Linear", arguments=arguments), folder / "linear.pt", base=folder)
    assert model(torch.zeros(1, 3)).shape == (1, 2)


def test_keys_and_shapes_that_do_not_fit_are_named(folder):
    state = reference(folder).state_dict()
    state["head.weight"] = state.pop("2.weight")
    state["0.bias"] = torch.zeros(5)
    torch.save(state, folder / "bad.pt")
    with pytest.raises(ModelError) as caught:
        load_model(section("net.py:build"), folder / "bad.pt", base=folder)
    text = str(caught.value)
    assert "missing from the file: 2.weight" in text
    assert "unknown to the architecture: head.weight" in text
    assert "0.bias is [5], expected [4]" in text
    assert caught.value.exit_code == 3


def test_a_wrapper_prefix_is_recognised(folder):
    state = {f"module.{name}": value for name, value in reference(folder).state_dict().items()}
    torch.save(state, folder / "bad.pt")
    with pytest.raises(ModelError, match=r"the names start with 'module\.'"):
        load_model(section("net.py:build"), folder / "bad.pt", base=folder)


def test_arguments_reach_the_callable_and_their_errors_the_user(folder):
    with pytest.raises(ModelError, match=r"0\.weight is \[4, 3\], expected \[6, 3\]"):
        load_model(section("net.py:build", arguments={"width": 6}), folder / "model.pt", base=folder)
    with pytest.raises(ModelError, match=r"build\(depth=2\) raised TypeError"):
        load_model(section("net.py:build", arguments={"depth": 2}), folder / "model.pt", base=folder)
    with pytest.raises(ModelError, match="no such width"):
        load_model(section("net.py:broken", arguments={"width": 2}), folder / "model.pt", base=folder)
    with pytest.raises(ModelError, match=r"returned int, expected a torch\.nn\.Module"):
        load_model(section("net.py:nothing"), folder / "model.pt", base=folder)
    with pytest.raises(ModelError, match="has no callable 'bild'"):
        load_model(section("net.py:bild"), folder / "model.pt", base=folder)
    with pytest.raises(ModelError, match="tried"):
        load_model(section("nett.py:build"), folder / "model.pt", base=folder)


def test_the_output_is_checked_against_the_classes_first(folder):
    with pytest.raises(ModelError, match=r"maps two inputs to \[2, 2\], expected \[2, 3\] for the 3 classes"):
        load_model(section("net.py:build", classes=("a", "b", "c")), folder / "model.pt", base=folder)
    with pytest.raises(ModelError, match=r"cannot take inputs of shape \[5\]"):
        load_model(section("net.py:build", shape=(5,)), folder / "model.pt", base=folder)
    torch.save(nn.Linear(3, 2).state_dict(), folder / "linear.pt")
    (folder / "pair.py").write_text(
        "from torch import nn\nclass Pair(nn.Linear):\n    def forward(self, x):\n        return x, x\n"
    )
    both = section("pair.py:Pair", arguments={"in_features": 3, "out_features": 2})
    with pytest.raises(ModelError, match="returns tuple, expected one tensor of logits"):
        load_model(both, folder / "linear.pt", base=folder)


def test_weights_that_are_not_numbers_are_named(folder):
    state = reference(folder).state_dict()
    state["2.bias"][1] = float("nan")
    torch.save(state, folder / "bad.pt")
    with pytest.raises(ModelError, match=r"NaN or infinite in 2\.bias"):
        load_model(section("net.py:build"), folder / "bad.pt", base=folder)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "old.pt"])
@pytest.mark.parametrize("kept", [0, 5, 40, 0.5, -1])
def test_a_cut_off_file_is_an_error(folder, name, kept):
    data = (folder / name).read_bytes()
    cut = kept if isinstance(kept, int) else int(len(data) * kept)
    (folder / name).write_bytes(data[:cut])
    with pytest.raises(ModelError):
        load_model(section("net.py:build"), folder / name, base=folder)


def test_other_contents(folder):
    torch.save([1, 2, 3], folder / "list.pt")
    with pytest.raises(ModelError, match="holds list, expected a state dict"):
        load_model(section("net.py:build"), folder / "list.pt", base=folder)
    torch.save({"epoch": 1}, folder / "map.pt")
    with pytest.raises(ModelError, match="holds a map of 'epoch', expected a state dict"):
        load_model(section("net.py:build"), folder / "map.pt", base=folder)
    (folder / "notes.txt").write_text("not a model at all")
    with pytest.raises(ModelError, match="is no state dict, safetensors or ONNX file"):
        load_model(section("net.py:build"), folder / "notes.txt", base=folder)
    with pytest.raises(ModelError, match="holds weights only, and the spec names no architecture"):
        load_model(section(None), folder / "model.pt", base=folder)
    with pytest.raises(ModelError, match="does not exist"):
        load_model(section("net.py:build"), folder / "absent.pt", base=folder)


def test_a_pin_that_does_not_hold(folder):
    with pytest.raises(HashMismatch, match="the spec pins 00"):
        load_model(section("net.py:build", sha256="00" * 32), folder / "model.pt", base=folder)


def test_normalisation_is_the_first_layer(folder):
    (folder / "conv.py").write_text(
        "from torch import nn\n\ndef build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    torch.save({"0.weight": torch.ones(2, 3, 1, 1), "0.bias": torch.zeros(2)}, folder / "conv.pt")
    statistics = {"mean": [0.5, 0.25, 0.0], "std": [0.5, 0.25, 2.0]}
    spec = section("conv.py:build", shape=(3, 4, 4), normalize=statistics)
    model = load_model(spec, folder / "conv.pt", base=folder)
    x = torch.rand(5, 3, 4, 4)
    mean, std = (torch.tensor(statistics[name])[:, None, None] for name in ("mean", "std"))
    assert torch.equal(model(x), model.network((x - mean) / std))
    for bad in ({"mean": [0.5], "std": [0.0]}, {"mean": [0.5, 0.5], "std": [1.0]}):
        with pytest.raises(ModelError, match=r"model\.normalize"):
            load_model(section("conv.py:build", shape=(3, 4, 4), normalize=bad), folder / "conv.pt", base=folder)


def test_the_lowest_wins_by_negation_and_one_logit_is_two(folder):
    x = torch.rand(6, 3)
    plain = load_model(section("net.py:build"), folder / "model.pt", base=folder)
    lowest = load_model(section("net.py:build", decision="lowest"), folder / "model.pt", base=folder)
    assert torch.equal(lowest(x), -plain(x))
    torch.save(nn.Linear(3, 1).state_dict(), folder / "one.pt")
    single = section("torch.nn:Linear", arguments={"in_features": 3, "out_features": 1})
    model = load_model(single, folder / "one.pt", base=folder)
    assert torch.equal(model(x), torch.cat([torch.zeros(6, 1), model.network(x)], dim=1))
    single.decision = "lowest"
    model = load_model(single, folder / "one.pt", base=folder)
    assert torch.equal(model(x).argmax(1), (model.network(x)[:, 0] < 0).long())


def test_an_audited_model_stays_in_eval_mode_and_works_with_functional_code(folder):
    model = load_model(
        section("net.py:build", normalize={"mean": [0.5], "std": [0.5]}), folder / "model.pt", base=folder
    )
    model.train()
    assert not any(module.training for module in model.modules())
    x = torch.rand(4, 3, dtype=torch.float64)
    state = {name: value.double() for name, value in model.state_dict().items()}
    assert torch.equal(functional_call(model, state, x), model.double()(x))
    with pytest.raises(ModelError, match=r"has no layer '22'.*\n.*did you mean '2'"):
        model.layer("22")


def test_batch_norm_is_in_eval_mode_before_the_first_pass(folder):
    (folder / "norm.py").write_text(
        "from torch import nn\n\ndef build():\n"
        "    return nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.9), nn.Linear(3, 2))\n"
    )
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.9), nn.Linear(3, 2))
    torch.save(network.state_dict(), folder / "norm.pt")
    model = load_model(section("norm.py:build"), folder / "norm.pt", base=folder)
    assert int(model.network[0].num_batches_tracked) == 0
    x = torch.rand(8, 3)
    assert torch.equal(model(x), network.eval()(x))


def test_the_eurosat_network_is_sequential_all_the_way_down(tmp_path):
    from examples.eurosat.model import build

    network = build()
    containers = [module for module in network.modules() if list(module.children())]
    assert all(type(module) is nn.Sequential for module in containers)
    assert {"blocks.0", "blocks.1", "head"} <= dict(network.named_modules()).keys()
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert [(layer.out_channels, layer.kernel_size) for layer in convolutions] == [(32, (3, 3)), (64, (3, 3))]
    dense = [module.out_features for module in network.modules() if isinstance(module, nn.Linear)]
    assert dense == [256, 256, 10]
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 10)


def test_importing_an_architecture_does_not_leave_its_folder_on_the_path(folder):
    load_model(section("net.py:build"), folder / "model.pt", base=folder)
    assert str(folder) not in sys.path


def test_loading_a_model_in_a_fresh_process_gives_no_warning(folder):
    code = (
        "import sys; from pathlib import Path; from auditor.loading import load_model\n"
        "from tests.loading.sections import section\n"
        f"load_model(section('net.py:build'), Path({str(folder)!r}) / 'model.pt', base=Path({str(folder)!r}))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
