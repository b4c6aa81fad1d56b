"""`auditor train` as a user meets it: the weights, the note beside them, and what it refuses."""

from __future__ import annotations

import io

import pytest
import torch

from auditor.errors import DataError, ModelError, NotAvailable, UsageError
from auditor.train import train, training_digest
from tests.train.project import project, run


def test_trains_notes_and_repeats(tmp_path):
    spec = project(tmp_path, "{gloro: {epsilon: 0.1}}")
    note, weights, shown = run(spec)
    found = note["measured"]["train"]
    assert found["accuracy"] == found["clean_accuracy"] > 0.9
    assert 0.5 < found["vra"] <= found["accuracy"]
    assert found["vra"] <= 1 - found["rejection_rate"]
    assert note["lipschitz_upper"] > 0
    assert "epoch 30/30" in shown
    assert "certified and right at ε 0.1" in shown
    _, again, _ = run(spec, "again.pt")
    _, other, _ = run(spec, "other.pt", seed=4)
    assert all(torch.equal(weights[key], again[key]) for key in weights)
    assert not all(torch.equal(weights[key], other[key]) for key in weights)


def test_radii_in_the_largest_coordinate(tmp_path):
    note, _, shown = run(project(tmp_path, "{gloro: {epsilon: 0.1, norm: linf}}"))
    found = note["measured"]["train"]
    assert note["norm"] == "linf"
    assert "certified and right at ε 0.1 in ℓ∞" in shown
    assert found["vra"] > 0.5
    assert note["curve"][-1]["robust"] == pytest.approx(found["vra"], abs=0.1)


def test_layers_in_bfloat16_prove_as_well(tmp_path):
    spec = project(tmp_path, "{gloro: {epsilon: 0.1}}\n  precision: bfloat16")
    note, weights, _ = run(spec)
    assert note["recipe"]["precision"] == "bfloat16"
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert note["curve"][-1]["robust"] == pytest.approx(note["measured"]["train"]["vra"], abs=0.1)
    assert note["measured"]["train"]["vra"] > 0.5


def test_the_trades_loss_and_fewer_epochs(tmp_path):
    note, _, _ = run(project(tmp_path, "{gloro: {epsilon: {from: 0.01, to: 0.1}, loss: {trades: 1.0}}}"), epochs=5)
    assert note["epochs"] == 5
    assert note["epsilon"] == pytest.approx(0.1)


def test_safetensors_when_the_name_says_so(tmp_path):
    from safetensors.torch import load_file

    spec = project(tmp_path)
    train(spec, tmp_path / "model.safetensors", device="cpu", epochs=1, stream=io.StringIO())
    assert set(load_file(tmp_path / "model.safetensors")) == {"0.weight", "0.bias", "2.weight", "2.bias"}


NORMALIZE = (
    "  classes: [setosa",
    "  normalize: {mean: [5.8, 3.1, 3.8, 1.2], std: [0.8, 0.4, 1.8, 0.8]}\n  classes: [setosa",
)


@pytest.mark.parametrize("loss", ["cross_entropy", "{trades: {from: 1.0, to: 1.2}}"])
@pytest.mark.parametrize("guarantee", ["standard", "{top_k: 2}", "{affinity: alike}"])
def test_every_guarantee_is_trained_for_and_proved(tmp_path, guarantee, loss):
    spec = project(tmp_path, f"{{gloro: {{epsilon: 0.2, guarantee: {guarantee}, loss: {loss}}}}}")
    note, _, shown = run(spec)
    found = note["measured"]["train"]
    assert 0.5 < found["vra"] <= found["clean_accuracy"] <= 1
    assert note["curve"][-1]["robust"] == pytest.approx(found["vra"], abs=0.1)
    assert "VRA ≈" in shown
    assert ("rejected" in shown) == (guarantee != "standard")


def test_what_is_proved_after_training_is_what_an_audit_proves(tmp_path):
    """With normalisation, as a layer: radii are in the units of the spec's input."""
    import auditor

    edits = [NORMALIZE, ("checks:\n", ROBUST)]
    spec = project(tmp_path, "{gloro: {epsilon: 0.1, guarantee: {affinity: alike}}}", *edits)
    note, _, _ = run(spec)
    results = auditor.check(spec, tmp_path / "made" / "model.pt", out=tmp_path / "report", select="name:robust")
    finding = next(one for one in results.findings if one.check == "robust")
    assert finding.metrics["vra"] == note["measured"]["train"]["vra"] > 0.5
    assert finding.metrics["clean_accuracy"] == note["measured"]["train"]["clean_accuracy"]
    assert finding.metrics["rejection_rate"] == pytest.approx(note["measured"]["train"]["rejection_rate"])


ROBUST = """checks:
  robust:
    type: robustness.certified
    epsilon: 0.1
    guarantee: {affinity: alike}
    require: {metric: vra, at_least: 0.1}
"""


def test_the_lowest_logit_wins_where_the_spec_says_so(tmp_path):
    spec = project(tmp_path, "{gloro: {epsilon: 0.1}}", ("  classes: [", "  decision: lowest\n  classes: ["))
    note, weights, _ = run(spec)
    assert note["measured"]["train"]["vra"] > 0.5
    from sklearn.datasets import load_iris
    from torch import nn

    from auditor.methods.training import MinMax

    network = nn.Sequential(nn.Linear(4, 8), MinMax(), nn.Linear(8, 3))
    network.load_state_dict(weights)
    rows, labels = load_iris(return_X_y=True)
    with torch.no_grad():
        lowest = network(torch.tensor(rows, dtype=torch.float32)).argmin(1).numpy()
    assert (lowest == labels).mean() == pytest.approx(note["measured"]["train"]["accuracy"])


def test_adversarial_training_shows_accuracy_under_its_attack(tmp_path):
    note, _, shown = run(project(tmp_path, "{pgd: {epsilon: 0.1, norm: linf, steps: 3}}"), epochs=5)
    assert "under attack 0." in shown
    assert "epsilon" not in note
    assert note["curve"][-1]["robust"] <= note["curve"][-1]["accuracy"]


def test_rows_that_checks_look_at_are_measured_too(tmp_path):
    edits = [
        (
            'train: "sklearn:iris"',
            'train: {path: "sklearn:iris", rows: "::2"}\n  rest: {path: "sklearn:iris", rows: "1::2"}',
        )
    ]
    edits.append(("over: train", 'over: {data: rest, rows: ":60"}'))
    note, _, shown = run(project(tmp_path, "{gloro: {epsilon: 0.1}}", *edits), epochs=10)
    assert {name: found["rows"] for name, found in note["measured"].items()} == {"train": 75, "rest rows :60": 60}
    assert "rest rows :60: accuracy" in shown


def test_images_are_augmented_and_tables_are_not(tmp_path):
    (tmp_path / "images").mkdir()
    digits = [
        ("shape: [4]", "shape: [1, 8, 8], range: [0, 1]"), ("sklearn:iris", "sklearn:digits"),
        ("[setosa, versicolor, virginica]", "[zero, one, two, three, four, five, six, seven, eight, nine]"),
        ("alike: [versicolor, virginica]", "alike: [three, eight]"),
        ("  batch_size", "  augment: [flip, {shift: 0.1}, {rotate: 10}, {zoom: 0.1}, {brightness: 0.1}]\n  batch_size"),
    ]  # fmt: skip
    spec = project(tmp_path / "images", "cross_entropy", *digits)
    (tmp_path / "images" / "model.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    _, augmented, _ = run(spec, epochs=1)
    spec.write_text(spec.read_text().replace("{shift: 0.1}", "{shift: 0.2}"))
    _, other, _ = run(spec, epochs=1)
    assert not torch.equal(augmented["1.weight"], other["1.weight"])
    with pytest.raises(UsageError, match="changes images"):
        run(project(tmp_path, "cross_entropy", ("  batch_size", "  augment: [flip]\n  batch_size")))
    spec.write_text(spec.read_text().replace(", range: [0, 1]", ""))
    with pytest.raises(UsageError, match="brightness"):
        run(spec)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path):
    with pytest.raises(ModelError, match="diverged"):
        run(
            project(
                tmp_path, "cross_entropy", ("adam: {lr: {from: 0.01, to: 0.001, after: 0.5}}", "sgd: {lr: 1.0e+30}")
            )
        )


OWN = """
import torch
from torch import nn


def train(model, data, seed, device):
    assert not model.training or seed == 3
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(data.inputs), data.labels).backward()
        optimizer.step()
    return model.train()


def other(model, data, seed, device):
    return nn.Linear(4, 3)


def nothing(model, data, seed, device):
    return None


def broken(model, data, seed, device):
    raise RuntimeError("no such luck")
"""


def own(folder, function: str):
    (folder / "own.py").write_text(OWN)
    edits = [("  objective: cross_entropy\n", f"  recipe: own.py:{function}\n"), ("  epochs: 30\n", ""), NORMALIZE]
    return project(folder, "cross_entropy", *edits)


def test_a_training_function_of_ones_own(tmp_path):
    note, weights, shown = run(own(tmp_path, "train"))
    assert note["measured"]["train"]["accuracy"] > 0.95
    assert "trained in" in shown
    assert set(weights) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    before = training_digest(tmp_path / "spec.yaml")
    (tmp_path / "own.py").write_text(OWN.replace("200", "201"))
    assert training_digest(tmp_path / "spec.yaml") != before


@pytest.mark.parametrize(
    ("function", "named"),
    [("other", "do not fit"), ("nothing", "NoneType"), ("broken", "no such luck"), ("x", "no callable")],
)
def test_a_training_function_that_does_not_deliver_is_named(tmp_path, function, named):
    with pytest.raises(ModelError, match=named):
        run(own(tmp_path, function))


def test_normalised_inputs_make_the_weights_the_audit_expects(tmp_path):
    spec = project(tmp_path, "cross_entropy", NORMALIZE)
    note, _, _ = run(spec)
    from sklearn.datasets import load_iris

    import auditor

    model = auditor.load_model(spec, tmp_path / "made" / "model.pt")
    rows, labels = load_iris(return_X_y=True)
    with torch.no_grad():
        predicted = model(torch.tensor(rows, dtype=torch.float32)).argmax(1).numpy()
    assert (predicted == labels).mean() == pytest.approx(note["measured"]["train"]["accuracy"], abs=1e-9)


def test_the_digest_follows_what_the_weights_depend_on(tmp_path):
    spec = project(tmp_path)
    before = training_digest(spec)
    spec.write_text(spec.read_text().replace("at_least: 0.5", "at_least: 0.6"))
    assert training_digest(spec) == before
    assert training_digest(spec, seed=3, epochs=30) == before
    assert len({before, training_digest(spec, seed=4), training_digest(spec, epochs=29)}) == 3
    architecture = tmp_path / "model.py"
    text = architecture.read_text()
    architecture.write_text(text.replace("(4, 8)", "(4, 16)").replace("(8, ", "(16, "))
    assert training_digest(spec) != before
    architecture.write_text(text)
    after = training_digest(spec)
    assert after == before
    (tmp_path / "rows.csv").write_text("a,b,c,d,label\n1,2,3,4,setosa\n4,3,2,1,virginica\n")
    edits = [("epochs: 30", "epochs: 31"), ("alike: [versicolor", "alike: [setosa")]
    edits.append(('"sklearn:iris"', "{path: rows.csv, label: label}"))
    for old, new in edits:
        spec.write_text(spec.read_text().replace(old, new))
        before, after = after, training_digest(spec)
        assert after != before
    (tmp_path / "rows.csv").write_text("a,b,c,d,label\n1,2,3,4,setosa\n4,3,2,2,virginica\n")
    assert training_digest(spec) != after


@pytest.mark.parametrize(
    ("objective", "named"),
    [
        ("cross_entropy\n  privacy: {noise_multiplier: 1.0, clip: 1.0}", "privacy"),
        ("cross_entropy\n  transforms: [{mark: 1}]", "transforms"),
    ],
)
def test_what_is_still_to_come_is_named(tmp_path, objective, named):
    with pytest.raises(NotAvailable, match=named):
        run(project(tmp_path, objective))


def test_a_spec_without_training_is_refused(tmp_path):
    spec = project(tmp_path)
    text = spec.read_text()
    spec.write_text(text[: text.index("training:")] + text[text.index("defaults:") :])
    with pytest.raises(UsageError, match="no `training`"):
        run(spec)


def test_a_spec_without_a_source_named_train_is_refused(tmp_path):
    spec = project(tmp_path)
    spec.write_text(spec.read_text().replace('train: "sklearn', 'all: "sklearn').replace("over: train", "over: all"))
    with pytest.raises(DataError, match="named `train`"):
        run(spec)


def test_an_architecture_with_other_classes_is_refused(tmp_path):
    spec = project(tmp_path, "cross_entropy", ("  input:", "  arguments: {classes: 2}\n  input:"))
    with pytest.raises(ModelError, match=r"expected \(2, 3\)"):
        run(spec)
