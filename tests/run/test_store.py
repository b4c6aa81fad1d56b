"""The store: atomic, checked, bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
import torch

from auditor.errors import RecordError
from auditor.plan.machine import Environment
from auditor.plan.task import make_task
from auditor.run.codec import encode
from auditor.run.store import Store, default_root
from tests.run import ops


def task(number: int):
    return make_task(ops.numbers, {"count": 1, "seed": number}, Environment("t", "cpu"))


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, number: int, size: int = 1) -> str:
    store.write(task(number), encode({"t": torch.full((size,), float(number))}), seconds=1.0)
    return task(number).digest


def test_what_is_written_is_read(store):
    digest = put(store, 1)
    assert store.has(digest)
    assert store.read(task(1))["t"].tolist() == [1.0]
    assert not store.has(task(2).digest)
    with pytest.raises(RecordError):
        store.read(task(2))


def test_writing_again_replaces(store):
    put(store, 1)
    store.write(task(1), encode("new"), seconds=2.0)
    assert store.read(task(1)) == "new"
    assert [entry.seconds for entry in store.ls()] == [2.0]


@pytest.mark.parametrize("name", ["entry.json", "value.json", "tensors.safetensors"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "empty"])
def test_any_damage_is_noticed(store, name, damage):
    digest = put(store, 1, size=50)
    file = store.root / "1" / digest[:2] / digest / name
    data = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    elif damage == "flip" and name == "entry.json":
        at = data.index(b'"tensors.safetensors": "') + 30
        data[at] = ord("0") if data[at] != ord("0") else ord("1")
        file.write_bytes(data)
    elif damage == "flip":
        data[-2] ^= 4
        file.write_bytes(data)
    else:
        file.write_bytes(data[: len(data) // 2] if damage == "truncate" else b"")
    with pytest.raises(RecordError):
        store.read(task(1))
    put(store, 1, size=50)
    assert len(store.read(task(1))["t"]) == 50


def test_an_entry_cannot_point_outside_its_folder(store, tmp_path):
    digest = put(store, 1)
    file = store.root / "1" / digest[:2] / digest / "entry.json"
    (tmp_path / "outside").write_text("x")
    file.write_text(file.read_text().replace('"value.json"', '"../../../../outside"'))
    with pytest.raises(RecordError):
        store.read(task(1))


def test_gc_removes_by_age_then_by_size_longest_unread_first(store):
    digests = [put(store, number, size=1000) for number in range(4)]
    now = time.time()
    for age, digest in zip([400, 300, 200, 100], digests, strict=True):
        os.utime(store.root / "1" / digest[:2] / digest, (now - age, now - age))
    assert [entry.digest for entry in store.gc(older_than=350)] == digests[:1]
    assert sum(entry.nbytes for entry in store.ls()) > 8000
    store.read(task(1))
    each = store.entry(digests[1]).nbytes
    assert [entry.digest for entry in store.gc(max_size=each)] == [digests[2], digests[3]]
    assert [entry.digest for entry in store.ls()] == [digests[1]]
    assert store.gc() == []


def test_gc_removes_ruins_and_old_remains_of_killed_processes(store):
    digest = put(store, 1)
    (store.root / "1" / digest[:2] / digest / "entry.json").write_text("{")
    remains = store.root / "1" / "tmp" / "dead"
    remains.mkdir()
    fresh = store.root / "1" / "tmp" / "alive"
    fresh.mkdir()
    os.utime(remains, (0, 0))
    store.gc()
    assert not store.has(digest)
    assert not remains.exists()
    assert fresh.exists()


def test_size_counts_everything(store):
    assert store.size() == 0
    put(store, 1, size=1000)
    assert 4000 < store.size() < 8000


def test_many_writers_of_one_entry(store):
    """Readers see a whole value at every moment but the instant of a replacement, where it counts as absent."""
    put(store, 1)
    wrong = []

    def write():
        for _ in range(20):
            put(store, 1)

    def read():
        for _ in range(60):
            try:
                if store.read(task(1))["t"].tolist() != [1.0]:
                    wrong.append("value")
            except RecordError:
                pass

    threads = [threading.Thread(target=target) for target in (write, write, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.read(task(1))["t"].tolist() == [1.0]
    assert list((store.root / "1" / "tmp").iterdir()) == []


def test_timings_survive_a_broken_line(store):
    store.record_timing(task(1), 1.0, "cpu")
    with open(store.root / "1" / "timings.jsonl", "a") as stream:
        stream.write('{"op": "half')
        stream.write("\n")
    store.record_timing(task(2), 1.0, "cuda:1")
    assert [(timing.seconds, timing.device) for timing in store.timings()] == [(1.0, "cpu"), (1.0, "cuda")]


def test_the_default_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDITOR_CACHE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.delenv("AUDITOR_CACHE")
    assert default_root().as_posix() == ".auditor/store"


def test_run_and_plan_import_no_torch():
    heavy = {"torch", "scipy", "networkx", "rich", "pyarrow", "numpy"}
    code = f"import auditor.run, auditor.plan, auditor.checks.common.ops, sys; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
