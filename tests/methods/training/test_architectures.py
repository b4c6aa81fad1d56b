import pytest
import torch

from auditor.loading import build
from auditor.methods.robustness import certify, margin_bounds
from auditor.methods.training import Adam, GloRo, Recipe, Schedule, architectures, train
from auditor.methods.training.lipschitz_estimate import LipschitzEstimate
from examples.eurosat.model import build as eurosat

COUNTED = [
    # 16·16+16, 16·32·16+32, 32·7²·100+100, 100·10+10
    (architectures.gloro_2c2f, {}, (1, 28, 28), 272 + 8_224 + 156_900 + 1_010),
    # 9·32+32, 32²·16+32, 32·64·9+64, 64²·16+64, 64·7²·512+512, 512²+512, 512·10+10
    (architectures.gloro_4c3f, {}, (1, 28, 28), 320 + 16_416 + 18_496 + 65_600 + 1_606_144 + 262_656 + 5_130),
    # 3·32·9+32, 32²·9+32, 32²·16+32, 32·64·9+64, 64²·9+64, 64²·16+64, 64·8²·512+512, 512·10+10
    (
        architectures.gloro_6c2f, {}, (3, 32, 32),
        896 + 9_248 + 16_416 + 18_496 + 36_928 + 65_600 + 2_097_664 + 5_130,
    ),
    # 3·64·9+64, 64²·9+64, 64²·16+64; 64·128·9+128, 128²·9+128, 128²·16+128; 128·256·9+256, 256²·16+256;
    # 256·8²·256+256, 256·200+200
    (
        architectures.gloro_8c2f, {}, (3, 64, 64),
        1_792 + 36_928 + 65_600 + 73_856 + 147_584 + 262_272 + 295_168 + 1_048_832 + 4_194_560 + 51_400,
    ),
    # 3·32·9+32, 128·64·9+64, 4·64·16²·256+256, 256²+256, 256·10+10
    (architectures.invertible_2c3f, {}, (3, 64, 64), 896 + 73_792 + 16_777_472 + 65_792 + 2_570),
    # the same on CIFAR-100: 4·64·8²·256+256 and 256·100+100
    (
        architectures.invertible_2c3f, {"classes": 100, "shape": [3, 32, 32]}, (3, 32, 32),
        896 + 73_792 + 4_194_560 + 65_792 + 25_700,
    ),
    # 5·1000+1000, twice 1000²+1000, 1000·5+5
    (architectures.dense_3x1000, {}, (5,), 6_000 + 2 * 1_001_000 + 5_005),
    # 12·64·9+64, four times 64²·9+64, 64·128·16+128, 128·4²·256+256, 256·10+10
    (architectures.liresnet, {}, (3, 32, 32), 6_976 + 4 * 36_928 + 131_200 + 524_544 + 2_570),
]  # fmt: skip


@pytest.mark.parametrize(("make", "arguments", "shape", "parameters"), COUNTED)
def test_parameters_are_as_many_as_the_thesis_says(make, arguments, shape, parameters):
    model = make(**arguments)
    assert sum(weight.numel() for weight in model.parameters()) == parameters
    assert model(torch.zeros(1, *shape)).shape == (1, arguments.get("classes", model[-1].out_features))


def test_the_example_for_eurosat_is_the_same_network():
    ours, example = architectures.invertible_2c3f(), eurosat()
    state = dict(zip(ours.state_dict(), example.state_dict().values(), strict=True))
    ours.load_state_dict(state)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(x), example(x))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (architectures.gloro_2c2f, (1, 8, 8)),
        (architectures.gloro_6c2f, (3, 8, 8)),
        (architectures.invertible_2c3f, (3, 8, 8)),
        (architectures.liresnet, (1, 8, 8)),
    ],
)
def test_architectures_certify_and_train(make, shape):
    torch.manual_seed(0)
    model = make(classes=3, shape=shape)
    bound = margin_bounds(model.eval(), shape)
    with torch.no_grad():
        found = LipschitzEstimate(model, shape, torch.Generator().manual_seed(0))(50)
    off = ~torch.eye(3, dtype=torch.bool)
    assert 0.5 <= (found / bound)[off].min() <= (found / bound)[off].max() <= 1 + 1e-6


def test_a_size_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="step of 2"):
        architectures.gloro_2c2f(shape=(1, 30, 30))
    with pytest.raises(ValueError, match=r"\[c, h, w\]"):
        architectures.gloro_6c2f(shape=(3, 32))


def test_a_spec_names_them(tmp_path):
    class Section:
        architecture = "auditor.methods.training.architectures:liresnet"
        arguments = {"classes": 4, "shape": [1, 8, 8], "width": 8, "depth": 2, "dense": 16}

    assert build(Section(), tmp_path)(torch.zeros(2, 1, 8, 8)).shape == (2, 4)


def test_a_residual_network_trains_to_a_proved_vra():
    """Blobs in the pixels of 8×8 images; on the 4×4 ones inside, zero padding costs the bound more than elsewhere."""
    torch.manual_seed(0)
    shape, epsilon, labels = (1, 8, 8), 0.3, torch.arange(240) % 3
    inputs = 0.4 * torch.eye(3).repeat_interleave(22, dim=1)[:, :64].reshape(3, *shape)[labels]
    inputs = inputs + 0.1 * torch.randn(240, *shape)
    model = architectures.liresnet(classes=3, shape=shape, width=8, depth=2, dense=16)
    recipe = Recipe(12, 32, GloRo(Schedule(epsilon)), Adam(Schedule(5e-3, 1e-4, "exponential", after=0.5)))
    last = [*train(model, inputs, labels, recipe, generator=torch.Generator().manual_seed(0))][-1]
    bound = margin_bounds(model, shape)
    with torch.no_grad():
        made = certify(model.double()(inputs.double()), bound, epsilon, labels=labels)
    assert made.vra_radius is not None
    assert float((made.vra_radius >= epsilon).double().mean()) > 0.85
    assert last.lipschitz is not None
    assert 0.5 <= last.lipschitz / float(bound.max()) <= 1 + 1e-6
