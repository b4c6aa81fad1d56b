"""`method: crown` through the command line: the spec's key, the finding, the certificate, and what verifying says."""

import pytest

from auditor.certificate.writing import CERTIFICATE
from auditor.records.certificate import Certificate

CHECK = """
  robust/certified:
    type: robustness.certified
    over: {data: test, rows: ":80"}
    epsilon: 0.2
    method: METHOD
    attack: {pgd: {steps: 5, restarts: 1}}
    require: {metric: vra, at_least: 0.01}
"""


def audited(project, method, out="out"):
    project.edit(("checks:\n", "checks:" + CHECK.replace("METHOD", method)))
    ended = project.run("check", "spec.yaml", "m.pt", "-o", out, "-f", "json,html", "--select", "name:robust/certified")
    (finding,) = [item for item in project.results(out)["findings"] if item["check"] == "robust/certified"]
    return ended, finding


def test_rows_gained_are_told_apart_in_the_finding_the_report_and_the_certificate(project):
    ended, finding = audited(project, "{crown: {seconds: 1}}")
    assert ended.code in (0, 1)
    metrics = finding["metrics"]
    gained = round(80 * metrics["certified_locally"])
    assert gained > 0
    assert metrics["vra"] <= metrics["accuracy_under_attack"]
    assert finding["evidence_kind"] == "certified"
    assert f"linear bounds around the row {round(80 * metrics['vra_locally'])}" in finding["summary"]
    assert "linear bounds" in (project.folder / "out" / "report.html").read_text()
    (claim,) = Certificate.model_validate_json((project.folder / "out" / CERTIFICATE).read_bytes()).claims
    assert (claim.locally, claim.certified) == (gained, round(80 * (1 - metrics["rejection_rate"])))
    verified = project.run("verify", "out")
    assert verified.code == 0
    assert f"{gained} of these rest on linear bounds around the row" in verified.out


@pytest.mark.parametrize(
    ("method", "said"), [("{crown: {seconds: 0}}", "21:31: out-of-range"), ("{crown: {minutes: 1}}", "minutes")]
)
def test_a_budget_that_makes_no_sense_is_refused_with_its_line(project, method, said):
    project.edit(("checks:\n", "checks:" + CHECK.replace("METHOD", method)))
    ended = project.run("validate", "spec.yaml")
    assert ended.code == 2
    assert said in ended.err
