"""The runner's settings hold inside a device op and nowhere else."""

from __future__ import annotations

import os
import random
import warnings

import numpy as np
import torch

from auditor.plan.op import op
from auditor.run import Store, execute
from auditor.run.determinism import deterministic, environment_record, seeded, threads
from tests.run.plans import Sketch


@op(version=1, device=True)
def settings(*, x: int) -> dict[str, object]:
    return {
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "tf32": torch.backends.cudnn.allow_tf32,
        "precision": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
    }


@op(version=1, device=True)
def wavering(*, x: int) -> int:
    warnings.warn("foo_cuda does not have a deterministic implementation, but you set ...", UserWarning, stacklevel=1)
    return x


def test_device_ops_run_deterministic_in_true_float32_and_all_is_put_back(tmp_path):
    torch.use_deterministic_algorithms(False)
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision(), torch.get_num_threads()
    sketch = Sketch()
    sketch.judgements["a"] = sketch.add(settings, x=1)
    found = execute(sketch.plan(), store=Store(tmp_path)).results["a"]
    assert found == {"deterministic": True, "tf32": False, "precision": "highest", "threads": threads()}
    assert not torch.are_deterministic_algorithms_enabled()
    assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision(), torch.get_num_threads()) == before


def test_settings_are_put_back_after_an_error():
    class Planned(Exception):
        pass

    try:
        with deterministic():
            raise Planned
    except Planned:
        pass
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_nondeterministic_algorithm_becomes_a_note(tmp_path):
    sketch = Sketch()
    sketch.judgements["a"] = sketch.add(wavering, x=1)
    outcome = execute(sketch.plan(), store=Store(tmp_path))
    assert outcome.results["a"] == 1
    assert outcome.notes == ("wavering: part of it has no deterministic algorithm",)


def test_seeding_leaves_the_callers_generators_alone():
    torch.manual_seed(3)
    expected = torch.rand(2).tolist()
    torch.manual_seed(3)
    random.seed(3)
    plain = random.random()
    random.seed(3)
    with seeded("ab" * 32):
        inside = (random.random(), float(np.random.rand()), torch.rand(1).item())  # noqa: NPY002
    assert torch.rand(2).tolist() == expected
    assert random.random() == plain
    with seeded("ab" * 32):
        assert inside == (random.random(), float(np.random.rand()), torch.rand(1).item())  # noqa: NPY002
    with seeded("cd" * 32):
        assert inside[2] != torch.rand(1).item()


def test_threads_follow_openmp(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads() == os.cpu_count()


def test_the_environment_record_names_versions():
    record = environment_record("cpu")
    # PyPI names its CUDA builds without what follows the plus sign.
    assert record["libraries"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert record["device_name"] == "cpu"
