"""One test per exit code of the contract, each through the real command line on a real model."""

from __future__ import annotations

import datetime as dt
import signal
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Project


def test_0_the_gate_opens(project: Project) -> None:
    ended = project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json")
    assert ended.code == 0, ended.err
    assert "PASSED" in ended.out
    assert project.results()["verdict"] == {"status": "passed", "exit_code": 0, "reasons": [], "warnings": []}


def test_1_a_fail_blocks_and_the_reason_has_its_numbers(project: Project) -> None:
    project.edit(("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"))
    ended = project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json")
    assert ended.code == 1
    assert "BLOCKED" in ended.out
    verdict = project.results()["verdict"]
    assert verdict["exit_code"] == 1
    assert [reason["check"] for reason in verdict["reasons"]] == ["accuracy"]
    assert "required at least 0.98, 597 rows" in verdict["reasons"][0]["text"]


def test_1_an_expired_waiver(project: Project) -> None:
    project.edit(("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"))
    waiver = "waivers:\n  - {check: accuracy, reason: r, owner: o, granted: 2026-01-01, expires: 2026-06-30}\n"
    project.edit(("gate:", f"{waiver}gate:"))
    command = ("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json", "--as-of")
    assert project.run(*command, "2026-06-30").code == 0
    assert project.results()["findings"][0]["status"] == "fail"
    assert project.results()["findings"][0]["waived"]["owner"] == "o"
    late = project.run(*command, "2026-07-01")
    assert late.code == 1
    assert "expired on 2026-06-30" in late.out


def test_1_a_regression_against_the_baseline(project: Project) -> None:
    assert project.run("check", "spec.yaml", "m.pt", "-o", "before", "-f", "json").code == 0
    worse = (project.folder / "before" / "results.json").read_text()
    value = project.results("before")["findings"][0]["value"]
    (project.folder / "before" / "results.json").write_text(worse.replace(f'"value": {value}', '"value": 0.999', 1))
    ended = project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json", "--baseline", "before")
    assert ended.code == 1
    assert project.results()["verdict"]["reasons"][0]["status"] == "regression"
    assert project.results()["baseline"]["changes"][0]["regression"] is True


def test_2_a_spec_with_errors_names_their_place(project: Project) -> None:
    project.edit(("type: quality.accuracy", "type: quality.acuracy"))
    for command in (("validate", "spec.yaml"), ("check", "spec.yaml", "m.pt"), ("plan", "spec.yaml", "m.pt")):
        ended = project.run(*command)
        assert ended.code == 2
        assert "spec.yaml:18:" in ended.err


@pytest.mark.parametrize("command", [("check", "spec.yaml", "m.pt"), ("train", "spec.yaml", "-o", "new.pt")])
def test_2_a_device_that_is_not_here(project: Project, command: tuple[str, ...]) -> None:
    project.edit(("\ngate:", "\ntraining: {epochs: 1}\ngate:"))
    ended = project.run(*command, "--device", "cuda:99")
    assert ended.code == 2
    assert "cuda:99 is not here" in ended.err
    assert not (project.folder / "reports").exists()


def test_2_an_empty_selection_never_passes(project: Project) -> None:
    assert project.run("check", "spec.yaml", "m.pt", "-s", "name:nothing").code == 2
    assert project.run("check", "spec.yaml", "m.pt", "--exclude", "*").code == 2
    assert not (project.folder / "reports").exists()


def test_2_usage(project: Project) -> None:
    for arguments in ([], ["chek"], ["check"], ["check", "spec.yaml", "m.pt", "--as-of", "today"], ["attest", "x"]):
        assert project.run(*arguments).code == 2
    assert "did you mean 'check'" in project.run("chek").err
    assert "comes later" in project.run("attest", "x").err


def test_2_plan_finds_a_question_undecidable_and_check_reports_it(project: Project) -> None:
    project.edit(('rows: "1200:"', 'rows: "1200:1220"'), ("accuracy, at_least: 0.5", "accuracy, at_least: 0.99"))
    planned = project.run("plan", "spec.yaml", "m.pt")
    assert planned.code == 2
    assert "299" in planned.out
    ended = project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json")
    assert ended.code == 1
    finding = project.results()["findings"][0]
    assert finding["status"] == "inconclusive"
    assert "299" in finding["reason"]
    assert not any("accuracy" in task["checks"] for task in project.results()["run"]["tasks"])


def test_2_what_is_not_available_says_how_to_leave_it_out(project: Project) -> None:
    project.add_check(
        "  sound/sanity:\n    type: influence.sanity\n    budget: {metric: rank_correlation, at_most: 0.2}\n"
    )
    ended = project.run("check", "spec.yaml", "m.pt")
    assert ended.code == 2, ended.err
    assert "--exclude 'name:sound/sanity'" in ended.err
    assert project.run("check", "spec.yaml", "m.pt", "-f", "json", "--exclude", "name:sound/sanity").code == 0


def test_3_a_missing_model(project: Project) -> None:
    ended = project.run("check", "spec.yaml", "absent.pt")
    assert ended.code == 3
    assert "absent.pt" in ended.err


def test_3_missing_data(project: Project) -> None:
    project.edit(('test: {path: "sklearn:digits", rows: "1200:"}', "test: absent.npz"))
    ended = project.run("check", "spec.yaml", "m.pt")
    assert ended.code == 3
    assert "absent.npz" in ended.err


def test_3_rows_that_two_roles_share(project: Project) -> None:
    project.edit(('rows: "1200:"', 'rows: "1190:"'))
    ended = project.run("check", "spec.yaml", "m.pt")
    assert ended.code == 3
    assert "share 10 rows" in ended.err


def test_3_a_pinned_hash(project: Project) -> None:
    project.edit(("  classes:", f"  sha256: {'a' * 64}\n  classes:"))
    assert project.run("check", "spec.yaml", "m.pt").code == 3


def test_3_a_pickled_module_is_refused(project: Project) -> None:
    import torch
    from torch import nn

    torch.save(nn.Linear(64, 10), project.folder / "whole.pt")
    ended = project.run("check", "spec.yaml", "whole.pt", "-o", "out")
    assert ended.code == 3
    assert "--allow-unsafe-load" in ended.err
    assert not (project.folder / "out").exists()


def test_4_errors_alone(project: Project) -> None:
    project.edit(("  architecture: model.py:build", "  architecture: model.py:build\n  arguments: {soft: true}"))
    certified = (
        "  robust/{}:\n    type: robustness.certified\n    epsilon: {}\n    require: {{metric: vra, at_least: 0.1}}\n"
    )
    project.add_check(certified.format("first", 0.1) + certified.format("second", 0.2))
    ended = project.run("check", "spec.yaml", "soft.pt", "-o", "out", "-f", "json")
    assert ended.code == 4, ended.out
    first, second = (item for item in project.results()["findings"] if item["type"] == "robustness.certified")
    assert (first["status"], first["code"]) == ("error", "unsupported")
    assert second["status"] == "skipped"
    assert "which failed in robust/first" in second["reason"]
    project.edit(("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"))
    assert project.run("check", "spec.yaml", "soft.pt", "-o", "out", "-f", "json").code == 1


def test_5_results_are_saved_and_rendering_failed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import auditor.report
    from auditor.errors import RenderError

    render = auditor.report.render

    def without_pango(folder: Path, formats: list[str]) -> list[Path]:
        if "pdf" in formats:
            raise RenderError("PDF needs Pango, which is not installed", remedy="apt-get install libpango-1.0-0")
        return render(folder, formats)

    monkeypatch.setattr(auditor.report, "render", without_pango)
    ended = project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "pdf,junit")
    assert ended.code == 5
    assert "apt-get install" in ended.err
    assert project.results()["verdict"]["status"] == "passed"
    assert (project.folder / "out" / "junit.xml").exists()
    project.edit(("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"))
    assert project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "pdf").code == 5
    assert project.run("report", "out", "-f", "pdf").code == 5
    assert project.run("report", "out", "-f", "junit").code == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_130_interrupted_says_what_resumes(own_store, sent: signal.Signals) -> None:
    project: Project = own_store("interrupted")
    project.edit(("steps: 3", "steps: 100000"))
    process = project.spawn("check", "spec.yaml", "m.pt", "-o", "out dir", "-v")
    wait_for_store(project, entries=4)
    time.sleep(0.5)
    process.send_signal(sent)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err + out
    assert "auditor check spec.yaml m.pt -o 'out dir' -v" in err
    assert not (project.folder / "out dir" / "results.json").exists()


def test_130_whatever_the_interrupt_passed_through(project: Project) -> None:
    (project.folder / "struck.py").write_text("""
import sys
from auditor.cli.failure import report_failure
from auditor.errors import Interrupted
try:
    exec("raise KeyboardInterrupt")
except KeyboardInterrupt:
    code = report_failure(Interrupted("interrupted"), ["check"])
sys.exit(code)
""")
    ended = project.apart(module="struck")
    assert ended.code == 130, ended.err
    assert "resume with: auditor check" in ended.err


def wait_for_store(project: Project, *, entries: int, seconds: float = 60) -> None:
    """Until the store of another process holds so many results."""
    from auditor.run import Store

    store, until = Store(project.environment["AUDITOR_CACHE"]), time.monotonic() + seconds
    while len(list(store.ls())) < entries:
        assert time.monotonic() < until, "the audit did not get going"
        time.sleep(0.05)


def test_no_gate_states_the_verdict_and_exits_0(project: Project) -> None:
    project.edit(("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"))
    ended = project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json", "--no-gate")
    assert ended.code == 0
    assert "BLOCKED" in ended.out
    assert project.results()["verdict"]["exit_code"] == 1


def test_an_unexpected_error_is_short_and_keeps_its_traceback(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    import auditor.audit.conduct

    monkeypatch.setattr(auditor.audit.conduct, "claim", lambda folder: 1 / 0)
    ended = project.run("check", "spec.yaml", "m.pt")
    assert ended.code == 4
    assert "internal error: ZeroDivisionError" in ended.err
    assert "Traceback" not in ended.err
    saved = Path(ended.err.rsplit("the traceback is in ", 1)[1].strip())
    assert "conduct.py" in saved.read_text()
    saved.unlink()


def test_today_is_the_day_of_the_audit(project: Project) -> None:
    assert project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json").code == 0
    assert project.results()["scope"]["as_of"] == dt.date.today().isoformat()


def test_3_a_missing_model_is_trained_only_where_the_spec_says_how(project: Project) -> None:
    ended = project.run("check", "spec.yaml", "absent.pt")
    assert ended.code == 3
    assert "give the file of the trained weights" in ended.err
    project.edit(("\ngate:", "\ntraining: {epochs: 1}\ngate:"))
    assert "auditor train spec.yaml -o absent.pt" in project.run("check", "spec.yaml", "absent.pt").err
