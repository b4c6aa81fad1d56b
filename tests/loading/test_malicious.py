"""Model files that execute code when they are loaded are refused, and nothing in them has run.

Each file is also loaded without care at the end: there the marker appears, so these tests can fail.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from auditor.errors import LoadRefused, ModelError
from auditor.loading import load_model
from tests.loading.sections import section


class Fires:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def saved(value) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def bare_object(path: Path, marker: Path) -> None:
    path.write_bytes(saved(Fires(marker)))


def among_weights(path: Path, marker: Path) -> None:
    path.write_bytes(saved(OrderedDict(weight=torch.zeros(2, 3), bias=torch.zeros(2), extra=Fires(marker))))


def old_format(path: Path, marker: Path) -> None:
    torch.save({"weight": torch.zeros(2, 3), "extra": Fires(marker)}, path, _use_new_zipfile_serialization=False)


def plain_pickle(path: Path, marker: Path) -> None:
    path.write_bytes(pickle.dumps(Fires(marker)))


def old_protocol(path: Path, marker: Path) -> None:
    path.write_bytes(pickle.dumps(Fires(marker), protocol=0))


def load_carelessly(path: Path) -> None:
    """Fails on a bare pickle, which is not torch's own format, but only after its first object has run."""
    with contextlib.suppress(RuntimeError, pickle.UnpicklingError):
        torch.load(io.BytesIO(path.read_bytes()), weights_only=False)


PICKLES = [bare_object, among_weights, old_format, plain_pickle]


@pytest.mark.parametrize("ending", [".pt", ".pth", ".safetensors.pt", ".bin"])
@pytest.mark.parametrize("make", PICKLES)
def test_a_pickle_of_more_than_weights_is_refused(make, ending, tmp_path):
    path, marker = tmp_path / f"model{ending}", tmp_path / "fired"
    make(path, marker)
    with pytest.raises(LoadRefused, match="could execute code") as caught:
        load_model(section("torch.nn:Linear", arguments={"in_features": 3, "out_features": 2}), path, base=tmp_path)
    assert not marker.exists()
    assert caught.value.exit_code == 3
    assert "torch.save(model.state_dict(), path)" in str(caught.value)
    assert "pathlib" in caught.value.what
    load_carelessly(path)
    assert marker.exists()


@pytest.mark.parametrize("ending", [".safetensors", ".onnx", ".txt"])
def test_no_ending_talks_a_pickle_into_being_loaded(ending, tmp_path):
    path, marker = tmp_path / f"model{ending}", tmp_path / "fired"
    bare_object(path, marker)
    with pytest.raises(ModelError):
        load_model(section("torch.nn:Linear", arguments={"in_features": 3, "out_features": 2}), path, base=tmp_path)
    assert not marker.exists()
    load_carelessly(path)
    assert marker.exists()


def test_a_pickle_of_the_first_protocol_is_not_loaded(tmp_path):
    path, marker = tmp_path / "model.pt", tmp_path / "fired"
    old_protocol(path, marker)
    with pytest.raises(ModelError, match="is no state dict"):
        load_model(section("torch.nn:Linear"), path, base=tmp_path)
    assert not marker.exists()
    load_carelessly(path)
    assert marker.exists()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        return self.linear(x)


def exported(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(Net().eval(), (torch.zeros(2, 3),)), path)


def test_a_malicious_pt2_archive_is_refused(tmp_path, caplog):
    """torch.export.load falls back to a full unpickle of the weights, which is what fires here."""
    clean, path, marker = tmp_path / "clean.pt2", tmp_path / "model.pt2", tmp_path / "fired"
    exported(clean)
    with zipfile.ZipFile(clean) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        root = source.namelist()[0].split("/")[0]
        for name in source.namelist():
            target.writestr(name, source.read(name))
        target.writestr(f"{root}/data/weights/model.pt", saved(OrderedDict(weight=Fires(marker))))
    for disguise in (path, tmp_path / "model.pt"):
        disguise.write_bytes(path.read_bytes())
        with pytest.raises(LoadRefused, match=r"is a \.pt2 archive: loading it could execute code"):
            load_model(section(), disguise, base=tmp_path)
        assert not marker.exists()
    if not any("data/weights/" in name for name in source.namelist()):
        return  # torch before 2.8 keeps its weights elsewhere, so that there this file fires nothing.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Exception):
            torch.export.load(path)
    assert marker.exists()


def test_a_pickle_called_pt2_is_refused(tmp_path):
    for make in PICKLES:
        path, marker = tmp_path / f"{make.__name__}.pt2", tmp_path / "fired"
        make(path, marker)
        with pytest.raises(LoadRefused):
            load_model(section(), path, base=tmp_path)
        assert not marker.exists()


def test_a_torchscript_archive_is_refused(tmp_path):
    """One that torch made, under two names, and one by hand whose pickle would fire."""
    marker = tmp_path / "fired"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(Net().eval(), torch.zeros(1, 3)), tmp_path / "model.torchscript")
    (tmp_path / "model.pt").write_bytes((tmp_path / "model.torchscript").read_bytes())
    with (
        zipfile.ZipFile(io.BytesIO(saved(Fires(marker)))) as source,
        zipfile.ZipFile(tmp_path / "hand.pt", "w") as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
        target.writestr("archive/code/__torch__.py", "import os\nos.system('true')\n")
        target.writestr("archive/constants.pkl", pickle.dumps(Fires(marker)))
    for name in ("model.torchscript", "model.pt", "hand.pt"):
        with pytest.raises(LoadRefused, match="is a TorchScript archive: loading it could execute code"):
            load_model(section(), tmp_path / name, base=tmp_path)
    assert not marker.exists()


def test_a_whole_module_is_refused_with_the_way_out(tmp_path):
    torch.save(Net(), tmp_path / "model.pt")
    with pytest.raises(LoadRefused, match=r"it names .*test_malicious\.Net") as caught:
        load_model(section(), tmp_path / "model.pt", base=tmp_path)
    assert "--allow-unsafe-load" in str(caught.value)


@pytest.mark.parametrize("kind", ["pickle", "torchscript", "pt2"])
def test_allow_unsafe_loads_what_was_refused(kind, tmp_path):
    path = tmp_path / ("model.pt2" if kind == "pt2" else "model.pt")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "pickle":
            torch.save(nn.Sequential(nn.Linear(3, 2)), path)
        elif kind == "torchscript":
            torch.jit.save(torch.jit.trace(Net().eval(), torch.zeros(2, 3)), path)
        else:
            exported(path)
    with pytest.raises(LoadRefused):
        load_model(section(), path, base=tmp_path)
    model = load_model(section(), path, base=tmp_path, allow_unsafe=True)
    assert model(torch.zeros(2, 3)).shape == (2, 2)


def test_a_compressed_archive_is_refused_before_it_is_inflated(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}))
        archive.writestr("model/data/0", bytes(10_000_000))
    with pytest.raises(ModelError, match="compressed entries"):
        load_model(section("torch.nn:Linear"), tmp_path / "model.pt", base=tmp_path)
