"""The commands around `check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditor.cli.explain import meanings
from auditor.cli.main import COMMANDS
from tests.cli.conftest import Project

CHECK = ("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json")


def test_help_lists_every_command_and_each_has_a_help(project: Project) -> None:
    top = project.run("--help")
    assert top.code == 0
    assert max(len(line) for line in top.out.splitlines()) <= 80
    for name in COMMANDS:
        assert f"\n  {name} " in top.out
        ended = project.run(name, "--help")
        assert ended.code == 0
        assert ended.out.startswith(f"Usage: auditor {name}")
    assert "attest" not in top.out


class TestInit:
    @pytest.mark.parametrize("example", ["digits", "eurosat", "tabular"])
    def test_what_it_writes_is_a_valid_spec(self, project: Project, example: str) -> None:
        ended = project.run("init", "new", "--example", example)
        assert ended.code == 0, ended.err
        assert f"auditor validate specs/{example}.yaml" in ended.out
        files = {path.relative_to("new").as_posix() for path in Path("new").rglob("*") if path.is_file()}
        workflow = ".github/workflows/audit.yml"
        assert files == {f"specs/{example}.yaml", f"examples/{example}/model.py", workflow, ".gitignore"}
        assert "@" not in Path("new", workflow).read_text().replace("@v", "")
        assert project.run("validate", f"new/specs/{example}.yaml").code == 0

    def test_it_overwrites_nothing(self, project: Project) -> None:
        Path(".gitignore").write_text("mine\n")
        assert project.run("init").code == 0
        first = Path("specs/digits.yaml").read_text()
        Path("specs/digits.yaml").write_text("edited")
        again = project.run("init")
        assert again.code == 0
        assert "specs/digits.yaml exists and is kept" in again.out
        assert Path("specs/digits.yaml").read_text() == "edited" != first
        assert Path(".gitignore").read_text() == "mine\n"


class TestValidate:
    def test_ok_has_counts(self, project: Project) -> None:
        ended = project.run("validate", "spec.yaml")
        assert (ended.code, ended.out) == (0, "OK  spec.yaml  2 checks, 2 sources, 10 classes\n")

    def test_every_error_of_every_spec(self, project: Project) -> None:
        Path("other.yaml").write_text(Path("spec.yaml").read_text().replace("epsilon: 0.05", "epsilon: -1"))
        project.edit(("at_least: 0.5", "at_last: 0.5"))
        ended = project.run("validate", "spec.yaml", "other.yaml")
        assert ended.code == 2
        assert ended.err.count("spec.yaml:") == 2
        assert ended.err.count("other.yaml:") == 1
        assert "3 errors" in ended.err

    def test_a_missing_file(self, project: Project) -> None:
        ended = project.run("validate", "absent.yaml")
        assert ended.code in (2, 3)
        assert "absent.yaml" in ended.err


class TestPlan:
    def test_tree_and_summary(self, own_store) -> None:
        project: Project = own_store("store")
        ended = project.run("plan", "spec.yaml", "m.pt")
        assert ended.code == 0
        assert "accuracy  quality.accuracy" in ended.out
        assert "└─ judge" in ended.out
        assert "597 rows, a pass takes at least 5" in ended.out
        assert "0 in the store" in ended.out
        assert max(len(line) for line in ended.out.splitlines()) <= 80
        assert project.run(*CHECK).code == 0
        done = project.run("plan", "spec.yaml", "m.pt")
        assert ", 0 to run" in done.out

    def test_json(self, own_store) -> None:
        project: Project = own_store("store")
        planned = json.loads(project.run("plan", "spec.yaml", "m.pt", "--json").out)
        assert planned["format"] == "auditor-plan/1"
        digests = {task["digest"] for task in planned["tasks"]}
        assert set(planned["checks"]) == {"accuracy", "robust/attacked"}
        assert set(planned["checks"].values()) <= digests
        assert all(set(task["inputs"]) <= digests for task in planned["tasks"])
        assert planned["estimate"]["to_compute"] == len(digests)
        assert planned["power"]["accuracy"] == {"rows": 597, "needed": 5}

    def test_nothing_runs(self, own_store) -> None:
        project: Project = own_store("store")
        assert project.run("plan", "spec.yaml", "m.pt").code == 0
        assert project.run("graph", "spec.yaml").code == 0
        from auditor.run import Store

        assert list(Store().ls()) == []


class TestGraph:
    @pytest.mark.parametrize(
        ("drawn_as", "start"), [("mermaid", "flowchart"), ("dot", "digraph"), ("svg", "<svg"), ("json", "{")]
    )
    def test_formats(self, project: Project, drawn_as: str, start: str) -> None:
        ended = project.run("graph", "spec.yaml", "--format", drawn_as)
        assert ended.code == 0
        assert ended.out.startswith(start)
        assert "robust/attacked" in ended.out


class TestReport:
    def test_renders_again_without_model_and_torch(self, project: Project) -> None:
        assert project.run(*CHECK).code == 0
        Path("m.pt").unlink()
        probe = (
            "import sys\nfrom auditor.cli import main\n"
            "try: main(sys.argv[1:])\nfinally: assert 'torch' not in sys.modules"
        )
        ended = project.apart("report", "out", "-f", "html,junit,md", code=probe)
        assert ended.code == 0, ended.err
        assert {"report.html", "junit.xml", "summary.md"} <= {path.name for path in Path("out").iterdir()}

    def test_a_folder_without_results(self, project: Project) -> None:
        ended = project.run("report", ".")
        assert ended.code == 3
        assert "results.json does not exist" in ended.err


class TestDiff:
    def test_regressions(self, project: Project) -> None:
        assert project.run(*CHECK).code == 0
        project.edit(("epsilon: 0.05", "epsilon: 2.0"))
        assert project.run("check", "spec.yaml", "m.pt", "-o", "worse", "-f", "json").code == 1
        assert project.run("diff", "out", "worse").code == 0
        ended = project.run("diff", "out", "worse", "--fail-on-regression")
        assert ended.code == 1
        assert "robust/attacked" in ended.out
        assert "pass → fail" in ended.out
        assert "1 of 2 checks changed, 1 got worse" in ended.out
        assert project.run("diff", "worse", "out", "--fail-on-regression").code == 0
        assert project.run("diff", "out", "out", "--fail-on-regression").code == 0


class TestWaive:
    ARGUMENTS = ("--reason", "Known: RISK-214, public", "--owner", "j.doe@example.org", "--granted", "2026-11-20")

    def test_it_opens_the_gate_and_keeps_every_comment(self, project: Project) -> None:
        project.edit(("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"))
        before = Path("spec.yaml").read_text()
        assert project.run(*CHECK, "--as-of", "2026-12-01").code == 1
        ended = project.run("waive", "spec.yaml", "accuracy", *self.ARGUMENTS, "--expires", "2027-06-30")
        assert ended.code == 0, ended.err
        after = Path("spec.yaml").read_text()
        assert after.startswith(before.rstrip("\n"))
        assert "# a comment that stays" in after
        assert project.run(*CHECK, "--as-of", "2026-12-01").code == 0
        assert project.results()["findings"][0]["waived"]["reason"] == "Known: RISK-214, public"

    @pytest.mark.parametrize(
        ("check", "expires", "says"),
        [
            ("acuracy", "2027-06-30", "did you mean 'accuracy'?"),
            ("accuracy", "2026-11-19", "is before"),
            ("accuracy", "2027-11-21", "the latest is 2027-11-20"),
            ("accuracy", "tomorrow", "is not a date"),
        ],
    )
    def test_what_is_no_waiver_changes_nothing(self, project: Project, check: str, expires: str, says: str) -> None:
        before = Path("spec.yaml").read_text()
        ended = project.run("waive", "spec.yaml", check, *self.ARGUMENTS, "--expires", expires)
        assert ended.code == 2
        assert says in ended.err
        assert Path("spec.yaml").read_text() == before


class TestList:
    def test_checks(self, project: Project) -> None:
        out = project.run("list", "checks").out
        for name in ("quality.accuracy", "robustness.certified", "influence.concept", "bias.amplification"):
            assert f"{name}" in out
        assert "comes later" in out

    def test_metrics(self, project: Project) -> None:
        out = project.run("list", "metrics", "robustness.certified").out
        assert "vra" in out
        assert project.run("list", "metrics", "robustness.certifed").code == 2

    def test_sets(self, project: Project) -> None:
        project.edit(("\ndefaults:", "\nsets: {low: [zero, one]}\n\ndefaults:"))
        out = project.run("list", "sets", "spec.yaml").out
        assert "low" in out
        assert "{zero, one}" in out


def test_schema_is_json_schema(project: Project) -> None:
    schema = json.loads(project.run("schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_doctor_looks_at_everything(project: Project) -> None:
    ended = project.run("doctor")
    assert ended.code == 0
    for what in ("python", "torch", "device", "Pango", "fonts", "store", "data"):
        assert what in ended.out


def test_cache(own_store) -> None:
    project: Project = own_store("store")
    assert project.run("cache", "ls").out.startswith("0 results")
    assert project.run(*CHECK).code == 0
    assert "judge" in project.run("cache", "ls").out
    assert project.run("cache", "gc").out.startswith("removed 0 results")
    assert not project.run("cache", "gc", "--max-size", "0").out.startswith("removed 0 results")
    assert project.run("cache", "ls").out.startswith("0 results")


class TestExplain:
    def test_every_code_that_an_error_may_carry(self) -> None:
        from auditor import errors

        known = meanings()
        kinds = [
            kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AuditorError)
        ]
        assert {kind.code for kind in kinds} <= known.keys()
        assert {"0", "1", "2", "3", "4", "5", "130"} <= known.keys()

    def test_it_explains(self, project: Project) -> None:
        assert "No sound bound is known" in project.run("explain", "unsupported").out
        ended = project.run("explain", "unsuported")
        assert ended.code == 2
        assert "did you mean unsupported" in ended.err
        assert "inconclusive" in project.run("explain").out
