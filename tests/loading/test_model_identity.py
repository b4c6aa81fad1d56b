"""A model's identity follows its weights, and the text of its architecture and of what of the project that imports."""

from __future__ import annotations

import hashlib
import sys

import pytest

from auditor.errors import ModelError
from auditor.sources import model_identity
from auditor.sources.model_identity import architecture_identity
from tests.loading.sections import section


@pytest.fixture
def project(tmp_path, monkeypatch):
    files = {
        "net.py": "import torch, numpy\nfrom blocks import conv\nfrom blocks.dense import layer\n\ndef build(): ...\n",
        "blocks/__init__.py": "from . import conv\n",
        "blocks/conv.py": "from .inner.deep import thing\n",
        "blocks/dense.py": "layer = 1\n",
        "blocks/inner/__init__.py": "",
        "blocks/inner/deep.py": "import blocks.cycle\nthing = 1\n",
        "blocks/cycle.py": "def late():\n    from blocks import conv\n    import lazily\n",
        "lazily.py": "raise SystemExit('must never run')\n",
        "unrelated.py": "x = 1\n",
        "model.pt": "weights",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


REACHED = {"net.py", "blocks/__init__.py", "blocks/conv.py", "blocks/dense.py", "blocks/inner/__init__.py"} | {
    "blocks/inner/deep.py",
    "blocks/cycle.py",
    "lazily.py",
}


def identity(project, architecture="net.py:build", **options):
    return model_identity(section(architecture, **options), project / "model.pt", project)


@pytest.mark.parametrize("name", sorted(REACHED))
def test_every_imported_file_counts(project, name):
    before = identity(project)
    (project / name).write_text((project / name).read_text() + "\n# touched\n")
    assert identity(project)["architecture"] != before["architecture"]


def test_nothing_else_counts_and_nothing_runs(project):
    before = identity(project)
    (project / "unrelated.py").write_text("x = 2\n")
    assert identity(project) == before
    assert not {"net", "blocks", "lazily"} & set(sys.modules)
    assert before["weights"] == hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize(
    "changes", [{"arguments": {"width": 3}}, {"normalize": {"mean": [0], "std": [1]}}, {"decision": "lowest"}]
)
def test_what_else_decides_the_function_counts(project, changes):
    assert identity(project, **changes) != identity(project)


def test_the_place_of_the_project_does_not_count(project, tmp_path_factory, monkeypatch):
    import shutil

    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(project, elsewhere)
    before = identity(project)
    monkeypatch.chdir(elsewhere)
    assert identity(elsewhere) == before


def test_third_party_packages_count_by_version(project):
    (project / "net.py").write_text("import networkx\nfrom click.core import Command\ndef build(): ...\n")
    found = architecture_identity("net.py:build", project)
    assert set(found["packages"]) == {"networkx", "click"}
    assert set(found["sources"]) == {"."}


def test_a_package_architecture_is_found_without_importing_it(project):
    dotted = architecture_identity("blocks.dense:layer", project)
    assert set(dotted["sources"]) == {"blocks", "blocks.conv", "blocks.inner", "blocks.inner.deep", "blocks.cycle"} | {
        "blocks.dense",
        "lazily",
    }
    assert "blocks" not in sys.modules


def test_the_projects_own_layers_count(project):
    (project / "net.py").write_text("from auditor.methods.training.layers import MinMax\ndef build(): ...\n")
    assert "auditor.methods.training.layers" in architecture_identity("net.py:build", project)["sources"]


def test_errors_name_the_file(project):
    (project / "blocks/dense.py").write_text("layer = = 1\n")
    with pytest.raises(ModelError, match=r"dense\.py:1: architecture cannot be parsed"):
        identity(project)
    with pytest.raises(ModelError, match="module 'no_such' is not found"):
        identity(project, "no_such:build")
    with pytest.raises(ModelError, match="is not a callable"):
        identity(project, "net.py")
    with pytest.raises(ModelError, match="does not exist"):
        model_identity(section("net.py:build"), project / "absent.pt", project)
