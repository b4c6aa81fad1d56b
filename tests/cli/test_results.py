"""results.json and the folder, as other programs rely on them; and what a second run costs."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path

import pyarrow.parquet
import pytest

from auditor.records import Results
from tests.cli.conftest import Project
from tests.cli.test_exit_codes import wait_for_store

CHECK = ("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json")
FINDING = [
    *("check", "type", "status", "waived", "severity", "evidence_kind", "threat_model", "assumed", "claim", "metric"),
    *("value", "interval", "confidence", "threshold", "n", "metrics", "evidence", "limits", "rerun"),
]


def test_the_format_is_the_contract_s(project: Project) -> None:
    assert project.run(*CHECK).code == 0
    found = project.results()
    assert found["format"] == "auditor-results/1"
    promised = ["format", "spec", "model", "data", "verdict", "findings", "run"]
    assert [key for key in found if key in promised] == promised
    assert {"name", "path", "sha256"} <= found["spec"].keys()
    assert {"path", "sha256", "parameters"} <= found["model"].keys()
    assert {"path", "sha256", "rows"} <= found["data"]["test"].keys()
    assert list(found["verdict"])[:3] == ["status", "exit_code", "reasons"]
    assert {"started", "seconds", "environment", "device", "tasks"} <= found["run"].keys()
    assert {"op", "digest", "seconds", "cached"} <= found["run"]["tasks"][0].keys()
    for finding in found["findings"]:
        assert [key for key in finding if key in FINDING] == FINDING
        assert finding["interval"][0] <= finding["value"] <= finding["interval"][1]
        assert finding["n"] == 597
        assert finding["claim"]
        assert finding["summary"]
        assert finding["limits"]
        assert finding["line"] in (17, 20)
    assert (found["spec"]["path"], found["model"]["path"]) == ("spec.yaml", "m.pt")
    assert found["model"]["parameters"] == 64 * 24 + 24 + 24 * 10 + 10
    assert found["data"]["test"]["rows"] == found["data"]["test"]["used"] == 597
    assert sum(found["data"]["test"]["per_class"].values()) == 597


def test_json_holds_no_number_that_json_does_not_have(project: Project) -> None:
    assert project.run(*CHECK).code == 0
    results = Results.read(project.folder / "out")
    odd = results.findings[0].model_copy(update={"value": math.nan, "interval": (-math.inf, math.inf)})
    results.model_copy(update={"findings": (odd,)}).write(project.folder / "odd.json")
    found = json.loads((project.folder / "odd.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert (found["findings"][0]["value"], found["findings"][0]["interval"]) == ("nan", ["-inf", "inf"])
    again = Results.read(project.folder / "odd.json").findings[0]
    assert math.isnan(again.value or 0)
    assert again.interval == (-math.inf, math.inf)


def test_evidence_lies_where_findings_say(project: Project) -> None:
    assert project.run(*CHECK).code == 0
    for finding in project.results()["findings"]:
        folder = project.folder / "out" / "evidence" / finding["check"].replace("/", "__")
        points = pyarrow.parquet.read_table(folder / "points.parquet")
        assert points.column_names[:3] == ["index", "label", "predicted"]
        assert points["index"].to_pylist() == list(range(1200, 1797))
        for item in finding["evidence"]:
            for path in (item["data"], item["picture"]):
                assert path is None or (project.folder / "out" / path).is_file()
        assert any(item["data"] for item in finding["evidence"])


def test_the_default_folder_is_named_after_what_is_audited(project: Project) -> None:
    assert project.run("check", "spec.yaml", "m.pt", "-q", "-f", "json").code == 0
    assert project.run("check", "spec.yaml", "m.pt", "-q", "-f", "json", "--jobs", "1").code == 0
    (first,) = (project.folder / "reports").iterdir()
    assert first.name.startswith("tiny-")
    assert len(first.name) == len("tiny-") + 8
    assert project.run("check", "spec.yaml", "m.pt", "-q", "-f", "json", "--seed", "8").code == 0
    assert len(list((project.folder / "reports").iterdir())) == 2


def test_the_rerun_command_reproduces_its_finding(project: Project) -> None:
    import shlex

    assert project.run(*CHECK, "--seed", "11").code == 0
    for finding in project.results()["findings"]:
        program, *arguments = shlex.split(finding["rerun"])
        assert program == "auditor"
        assert project.run(*arguments, "-f", "json").code == 0
        again = project.results(arguments[-1])["findings"]
        assert [item for item in again if item["check"] == finding["check"]] == [finding]


def test_equal_audits_differ_only_in_run(own_store) -> None:
    texts = []
    for name in ("one", "two"):
        project: Project = own_store(name)
        assert project.run("check", "spec.yaml", "m.pt", "-o", name, "-f", "json").code == 0
        texts.append(project.outside_run(name))
    assert texts[0] == texts[1]
    assert project.run("check", "spec.yaml", "m.pt", "-o", "jobs", "-f", "json", "--jobs", "2", "--no-cache").code == 0
    assert project.outside_run("jobs") == texts[0]


def test_an_unchanged_second_run_evaluates_no_model_and_imports_no_torch(own_store) -> None:
    project: Project = own_store("store")
    assert project.run(*CHECK).code == 0
    first = project.outside_run()
    assert not all(task["cached"] for task in project.results()["run"]["tasks"])
    probe = (
        "import sys\n"
        "from auditor.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert 'torch' not in sys.modules and 'scipy' not in sys.modules, 'imported'"
    )
    ended = project.apart(*CHECK, code=probe)
    assert ended.code == 0, ended.err
    assert project.outside_run() == first
    assert all(task["cached"] for task in project.results()["run"]["tasks"])


def test_another_threshold_runs_only_judge(own_store) -> None:
    project: Project = own_store("store")
    assert project.run(*CHECK).code == 0
    project.edit(
        ("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"),
        ("under_attack, at_least: 0.5", "under_attack, at_least: 0.98"),
    )
    assert project.run(*CHECK).code == 1
    ran = [task["op"].partition(":")[2] for task in project.results()["run"]["tasks"] if not task["cached"]]
    assert ran == ["judge", "judge"]


def test_another_model_runs_what_rests_on_it(own_store) -> None:
    import torch

    project: Project = own_store("store")
    assert project.run(*CHECK).code == 0
    weights = torch.load(project.folder / "m.pt", weights_only=True)
    weights["0.weight"][0] += 0.25
    torch.save(weights, project.folder / "m.pt")
    assert project.run(*CHECK).code == 0
    ran = {task["op"].partition(":")[2] for task in project.results()["run"]["tasks"] if not task["cached"]}
    assert "forward" in ran
    assert "read_labels" not in ran


@pytest.mark.slow
def test_a_killed_audit_goes_on_and_ends_with_the_same_results(own_store) -> None:
    uninterrupted: Project = own_store("whole")
    uninterrupted.edit(("steps: 3", "steps: 400"))
    assert uninterrupted.run(*CHECK).code == 0
    expected = uninterrupted.outside_run()
    (uninterrupted.folder / "out").rename(uninterrupted.folder / "expected")

    project: Project = own_store("killed")
    process = project.spawn(*CHECK)
    wait_for_store(project, entries=5)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert not (project.folder / "out" / "results.json").exists()
    ended = project.apart(*CHECK)
    assert ended.code == 0, ended.err
    assert project.outside_run() == expected
    assert any(task["cached"] for task in project.results()["run"]["tasks"])


def test_a_time_budget_leaves_checks_undecided_and_the_next_run_decides_them(own_store) -> None:
    project: Project = own_store("store")
    ended = project.run(*CHECK, "--time-budget", "0s")
    assert ended.code == 1
    assert {item["status"] for item in project.results()["findings"]} == {"inconclusive"}
    assert all("time budget" in item["reason"] for item in project.results()["findings"])
    assert project.run(*CHECK).code == 0


def test_selection(project: Project) -> None:
    assert project.run(*CHECK, "-s", "type:robustness.*").code == 0
    found = project.results()
    assert [item["status"] for item in found["findings"]] == ["skipped", "pass"]
    assert "not selected" in found["findings"][0]["reason"]
    assert found["scope"]["selection"] == "--select type:robustness.*"
    assert "1 of 2 checks was not selected" in found["verdict"]["warnings"][0]
    assert project.run(*CHECK, "--exclude", "absent/*", "--exclude", "robust/*").code == 0
    assert project.results()["scope"]["selection"] == "--exclude absent/* robust/*"
    assert [item["status"] for item in project.results()["findings"]] == ["pass", "skipped"]


def test_modified_against_a_baseline(project: Project) -> None:
    assert project.run("check", "spec.yaml", "m.pt", "-o", "before", "-f", "json").code == 0
    project.edit(("epsilon: 0.05", "epsilon: 0.06"))
    assert project.run(*CHECK, "--baseline", "before", "-s", "state:modified").code == 0
    assert [item["status"] for item in project.results()["findings"]] == ["skipped", "pass"]


def test_a_run_replaces_the_one_before_it(project: Project) -> None:
    assert project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "junit,json").code == 0
    (project.folder / "out" / "notes.txt").write_text("mine")
    project.edit(("  robust/attacked:", "  robust/other:"))
    assert project.run(*CHECK).code == 0
    found = {path.name for path in (project.folder / "out").iterdir()}
    assert found == {"results.json", "evidence", "notes.txt"}
    assert {path.name for path in (project.folder / "out" / "evidence").iterdir()} == {"accuracy", "robust__other"}


def test_a_class_named_script_is_inert(project: Project) -> None:
    evil = "<script>alert(1)</script>"
    project.edit(("[zero, one", f"['{evil}', one"))
    assert project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "html,md,junit").code == 0
    for name in ("report.html", "summary.md", "junit.xml"):
        text = (project.folder / "out" / name).read_text()
        assert "<script>alert" not in text.lower()
    assert "&lt;script&gt;alert(1)" in (project.folder / "out" / "report.html").read_text()


def test_github_annotations(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    project.edit(("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"))
    ended = project.run(*CHECK)
    (line,) = (line for line in ended.out.splitlines() if line.startswith("::"))
    assert line.startswith("::error file=spec.yaml,line=17,title=accuracy%3A fail::Fails: accuracy")


def test_python_returns_what_is_written(project: Project) -> None:
    import auditor

    results = auditor.check("spec.yaml", "m.pt", out="out", device="cpu", formats=["json"])
    assert results == Results.read(project.folder / "out")
    assert results.finding("accuracy").value == project.results()["findings"][0]["value"]
    model = auditor.load_model("spec.yaml", "m.pt")
    assert tuple(model.classes)[:2] == ("zero", "one")


def test_progress_reaches_listeners(project: Project) -> None:
    import auditor
    from auditor.run.events import RunFinished, RunStarted

    seen: list[object] = []
    auditor.check("spec.yaml", "m.pt", out="out", formats=["json"], cache=False, listeners=[seen.append])
    assert isinstance(seen[0], RunStarted)
    assert isinstance(seen[-1], RunFinished)


def test_an_included_spec_is_shown_and_pointed_at(project: Project) -> None:
    project.edit(("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"))
    Path("main.yaml").write_text(
        "include: [spec.yaml]\nsets: {close: {any: [[zero, one]]}}\nchecks:\n"
        "  robust/close:\n    type: robustness.certified\n    epsilon: 0.001\n    guarantee: {affinity: close}\n"
        "    attack: {pgd: {steps: 2, restarts: 1}}\n    require: {metric: vra, at_least: 0.01}\n"
    )
    assert project.run("check", "main.yaml", "m.pt", "-o", "out", "-f", "html,sarif,junit").code == 1
    found = project.results()
    places = {item["check"]: (item["file"], item["line"]) for item in found["findings"]}
    assert places["robust/close"] == (None, 4)
    assert places["accuracy"][0].endswith("spec.yaml")
    assert found["scope"]["set_users"] == {"close": ["robust/close"]}
    (included,) = found["spec"]["texts"].values()
    assert included == Path("spec.yaml").read_text()
    page = Path("out/report.html").read_text()
    assert "at_least: 0.98" in page
    assert "used by robust/close" in page
    located = {
        result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]: result["locations"][0]["physicalLocation"]
        for result in json.loads(Path("out/results.sarif").read_text())["runs"][0]["results"]
    }
    assert located["accuracy"]["artifactLocation"]["uri"].endswith("spec.yaml")
    assert located["accuracy"]["region"]["startLine"] == places["accuracy"][1]
    assert located["robust/close"]["artifactLocation"]["index"] == 0
