"""Model files read without torch hold what torch put into them, and nothing in them is run."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from auditor.certificate.model_file import model_tensors
from auditor.errors import DataError


def state():
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Linear(4, 5), nn.Linear(5, 2).double(), nn.Linear(3, 3).half(),
              nn.Linear(3, 3).bfloat16()]  # fmt: skip
    return nn.Sequential(*layers).state_dict()


def save(tensors, path, form):
    tensors = {name: value.contiguous() for name, value in tensors.items()} if form == "safetensors" else tensors
    save_file(tensors, path) if form == "safetensors" else torch.save(tensors, path)
    return path


@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_a_file_holds_what_torch_put_into_it(tmp_path, form):
    tensors = state() | {
        "turned": torch.arange(12.0).reshape(3, 4).T,
        "part": torch.arange(9.0)[3:7],
        "one": torch.tensor(2.5),
    }
    found = model_tensors(save(tensors, tmp_path / "model", form))
    assert found is not None
    assert set(found) == {name for name, value in tensors.items() if value.is_floating_point()}
    for name, value in found.items():
        assert value.shape == tuple(tensors[name].shape)
        np.testing.assert_array_equal(value.astype(np.float64), tensors[name].double().numpy())


def test_a_checkpoint_is_read_as_training_scripts_nest_it(tmp_path):
    torch.save({"state_dict": state(), "epoch": 3}, tmp_path / "m.pt")
    assert set(model_tensors(tmp_path / "m.pt") or ()) == {k for k, v in state().items() if v.is_floating_point()}


def test_other_files_are_not_looked_into(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07\x12\x07pytorch" + bytes(64))
    assert model_tensors(tmp_path / "m.onnx") is None


class Sly:
    def __reduce__(self):
        return (open, ("ran", "w"))


def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.ones(3), "sly": Sly()}, "m.pt", pickle_module=pickle)
    with pytest.raises(DataError, match="more than weights"):
        model_tensors(tmp_path / "m.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_a_file_that_is_cut_off_is_an_error_that_says_so(tmp_path, form):
    path = save(state(), tmp_path / "model", form)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="cannot be read"):
        model_tensors(path)
