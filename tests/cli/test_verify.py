"""`auditor verify` on the certificate that a run has written."""

import pytest

from auditor.certificate.writing import CERTIFICATE, WEIGHTS
from auditor.records.certificate import Certificate

CERTIFIED = """
  robust/certified:
    type: robustness.certified
    epsilon: {epsilon}
    attack: {{pgd: {{steps: 2, restarts: 1}}}}
    require: {{metric: vra, at_least: 0.001}}
"""


@pytest.fixture
def run(project):
    project.add_check(CERTIFIED.format(epsilon=0.001))
    project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json", "--select", "name:robust/certified")
    return project


def test_a_run_writes_a_certificate_that_is_proved_again(run):
    stated = Certificate.model_validate_json((run.folder / "out" / CERTIFICATE).read_bytes())
    assert [claim.check for claim in stated.claims] == ["robust/certified"]
    assert stated.claims[0].vra > 0
    whole = run.run("verify", "out")
    assert whole.code == 0
    assert "2 layer bounds" in whole.out or "3 layer bounds" in whole.out
    assert run.run("verify", f"out/{CERTIFICATE}", f"out/{WEIGHTS}", "--model", "m.pt").code == 0
    assert run.run("verify", "out", "--model", "spec.yaml").code == 3


def test_it_needs_no_torch(run):
    code = "import sys; sys.modules['torch'] = sys.modules['scipy'] = None; from auditor.cli import main; main()"
    assert run.apart("verify", "out", code=code).code == 0


@pytest.mark.parametrize("name", [CERTIFICATE, WEIGHTS])
def test_a_changed_byte_ends_with_3(run, name):
    path = run.folder / "out" / name
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    ended = run.run("verify", "out")
    assert ended.code == 3
    assert name in ended.err


def test_a_missing_file_ends_with_3_and_a_false_bound_with_1(run):
    from auditor.certificate.writing import seal, written

    path = run.folder / "out" / CERTIFICATE
    stated = Certificate.model_validate_json(path.read_bytes())
    (proof,) = stated.proofs
    low = proof.layers[-1].model_copy(update={"lipschitz_upper": proof.layers[-1].lipschitz_upper / 2})
    false = stated.model_copy(update={"proofs": (proof.model_copy(update={"layers": (*proof.layers[:-1], low)}),)})
    path.write_bytes(written(false.model_copy(update={"sha256": seal(false)})))
    ended = run.run("verify", "out")
    assert ended.code == 1
    assert proof.layers[-1].name in ended.out
    path.unlink()
    assert run.run("verify", "out").code == 3


def test_nothing_certified_writes_no_certificate(project):
    project.add_check(CERTIFIED.format(epsilon=50.0))
    project.run("check", "spec.yaml", "m.pt", "-o", "out", "-f", "json", "--select", "name:robust/certified")
    assert (project.folder / "out" / "results.json").exists()
    assert not (project.folder / "out" / CERTIFICATE).exists()
    assert not (project.folder / "out" / WEIGHTS).exists()


def test_a_run_without_a_certificate_is_told_so(run):
    (run.folder / "empty").mkdir()
    ended = run.run("verify", "empty")
    assert ended.code == 3
    assert "give a run that certified something" in ended.err


SOFT = ("architecture: model.py:build\n", "architecture: model.py:build\n  arguments: {soft: true}\n")
"""With an operation between the two layers that no bound is known for: it stretches nothing by more than 16."""


def flat(text):
    """What is said, wherever its lines are broken."""
    return " ".join(text.split())


def soft(project, constants):
    """An audit of the network with that operation, `constants` being what the spec assumes."""
    project.add_check(CERTIFIED.format(epsilon=0.00001))
    project.edit(SOFT, ("  input: {", f"  assumed: {constants}\n  input: {{"))
    return project.run("check", "spec.yaml", "soft.pt", "-o", "out", "-f", "json", "--select", "name:robust/certified")


def test_an_assumed_constant_is_named_from_the_spec_to_the_proof(project):
    ended = soft(project, '{"1": 16}')
    assert ended.code == 0
    (finding,) = [each for each in project.results()["findings"] if each["check"] == "robust/certified"]
    assert finding["assumed"] == ["the constant 16 of `1`, which is the user's word"]
    assert "robust/certified passes on an assumption" in flat(ended.out)
    proved = project.run("verify", "out")
    assert proved.code == 1
    assert "assumed: network.1 (Fold): its constant 16 is the user's word" in flat(proved.out)
    assert "--accept-assumed" in flat(proved.out)
    given = project.run("verify", "out", "--accept-assumed")
    assert given.code == 0
    assert "given what is assumed" in " ".join(given.out.split())


def test_without_a_constant_the_error_names_the_key_that_would_take_it(project):
    project.add_check(CERTIFIED.format(epsilon=0.00001))
    project.edit(SOFT)
    ended = project.run("check", "spec.yaml", "soft.pt", "-o", "out", "-f", "json", "--select", "name:robust/certified")
    assert ended.code == 4
    (finding,) = [each for each in project.results()["findings"] if each["check"] == "robust/certified"]
    assert "cumsum" in finding["reason"]
    assert "model.assumed" in finding["opens_when"]
    assert "method: smoothing" in finding["opens_when"]


def test_a_constant_of_no_module_ends_with_3_and_the_name_that_was_meant(project):
    ended = soft(project, '{"11": 16}')
    assert ended.code == 3
    assert "model.assumed" in flat(ended.err)
    assert "did you mean" in flat(ended.err)


@pytest.mark.parametrize("form", ["pt", "safetensors"])
def test_the_model_file_is_searched_for_the_tensors_without_torch(project, form):
    import torch
    from safetensors.torch import save_file

    if form == "safetensors":
        save_file(torch.load(project.folder / "m.pt", weights_only=True), project.folder / "m.safetensors")
    project.add_check(CERTIFIED.format(epsilon=0.001))
    project.edit(("  input: {", "  normalize: {mean: 0.5, std: 2}\n  input: {"))
    model = f"m.{form}"
    project.run("check", "spec.yaml", model, "-o", "out", "-f", "json", "--select", "name:robust/certified")
    code = "import sys; sys.modules['torch'] = sys.modules['scipy'] = None; from auditor.cli import main; main()"
    ended = project.apart("verify", "out", "--model", model, code=code)
    assert ended.code == 0
    assert f"2 of 2 tensors found in {model}, bit for bit" in flat(ended.out)
    assert "normalize.std, stated by the spec" in flat(ended.out)
    assert "computed by" not in flat(ended.out)
    assert "--model FILE compares them" in flat(project.run("verify", "out").out)
