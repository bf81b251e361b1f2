from __future__ import annotations

import contextlib
import json
import math
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import losses
from monitor.errors import LossError, MonitorError

EXAMPLES = [
    losses.CrossEntropy(10),
    losses.CrossEntropy(classes=3, priors=(8, 1, 1), label_smoothing=0.1, class_weights=(1, 2, 3), ignore_index=-1),
    losses.CrossEntropy(),
    losses.BinaryCrossEntropy(3.0, positive_rate=0.2),
    losses.BinaryCrossEntropy((1.0, 2.0)),
    losses.LanguageModel(50257, unit="bits"),
    losses.LanguageModel(100, unit="perplexity"),
    losses.MSE(2.0, target_mean=1.0),
    losses.MSE(),
    losses.MAE(target_std=2.0),
    losses.Huber(0.5, target_std=1.0),
    losses.SmoothL1(0.0, target_std=1.0),
    losses.Quantile(0.9, constant_loss=1.0),
    losses.Hinge(2.0, positive_rate=0.1),
    losses.Hinge(squared=True, positive_rate=0.3),
    losses.MultiMargin(7, p=2),
    losses.MultiLabelMargin(5, labels=2),
    losses.MarginRanking(0.3),
    losses.Contrastive(1.0, positive_rate=0.3),
    losses.CosineEmbedding(0.1),
    losses.InfoNCE(64, temperature=0.2),
    losses.Triplet(0.4),
    losses.KLDivergence(4, target_entropy=0.3, per_element=True),
    losses.Dice(0.2),
    losses.Dice(0.2, squared=True),
    losses.IoU(0.2),
    losses.BoxIoU(),
    losses.GIoU(),
    losses.DIoU(),
    losses.CIoU(),
    losses.Focal(2.0, alpha=0.25, positive_rate=0.1),
    losses.Focal(1.0, classes=9),
    losses.CTC(20, input_length=50, target_length=10),
    losses.PoissonNLL(3.0),
    losses.GaussianNLL(2.0, full=True),
    losses.Adversarial("hinge"),
    losses.Adversarial("wgan", side="generator"),
    losses.Composite({"a": losses.MSE(1.0), "b": losses.CrossEntropy(4)}, weights={"b": 0.5}),
    losses.BPR(),
    losses.RankNet(scale=2.0),
    losses.ListNet(20, target_entropy=1.0),
    losses.Tversky(0.2),
    losses.RMSE(2.0, target_mean=1.0),
    losses.LogCosh(target_std=1.0),
    losses.Cauchy(0.5, target_std=1.0),
    losses.Barron(0.0, target_std=1.0),
    losses.Barron(-2.0, 0.3, target_std=1.0),
    losses.GeneralisedCrossEntropy(classes=5),
    losses.CrossEntropy(classes=3, priors=(8, 1, 1), balanced=True, label_smoothing=0.1),
    losses.Custom("mine", chance_level=2.0, floor=0.5, unit="m"),
    losses.Custom(),
]


def ids(spec: losses.LossSpec) -> str:
    return f"{spec.kind}-{EXAMPLES.index(spec)}"


@pytest.mark.parametrize("spec", EXAMPLES, ids=ids)
def test_a_specification_survives_its_dictionary(spec: losses.LossSpec) -> None:
    text = json.dumps(spec.to_dict(), allow_nan=False)
    assert losses.from_dict(json.loads(text)) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize("spec", EXAMPLES, ids=ids)
def test_the_dictionary_holds_what_the_rules_read(spec: losses.LossSpec) -> None:
    found = spec.to_dict()
    assert {"kind", "name", "params", "chance_level", "initial_level", "floor", "range", "unit", "traps"} <= set(found)
    assert found["chance_level"] == spec.chance_level
    assert bool(found["chance_formula"]) == (spec.chance_level is not None) or spec.kind == "custom"
    assert all(sentence.endswith(".") for sentence in spec.traps)


@pytest.mark.parametrize("spec", EXAMPLES, ids=ids)
def test_levels_are_ordered_and_within_the_range(spec: losses.LossSpec) -> None:
    low, high = spec.range
    for level in (spec.chance_level, spec.initial_level):
        if level is not None:
            assert low <= level <= high
            assert losses.impossible(spec.to_dict(), level) is None
    if spec.chance_level is not None and spec.initial_level is not None and spec.kind != "cosine_embedding":
        assert spec.initial_level >= spec.chance_level - 1e-9
    if spec.lowest is not None:
        assert spec.lowest <= spec.floor
        assert losses.impossible(spec, spec.lowest - 1.0)
        assert losses.impossible(spec.to_dict(), spec.lowest - 1.0)


@pytest.mark.parametrize("spec", EXAMPLES, ids=ids)
def test_skill_is_zero_at_chance_and_one_at_the_floor(spec: losses.LossSpec) -> None:
    if not spec.comparable:
        assert spec.skill(spec.chance_level) is None
    elif spec.chance_level is None or spec.floor is None:
        assert spec.skill(1.0) is None
    else:
        assert spec.skill(spec.chance_level) == pytest.approx(0.0, abs=1e-12)
        assert spec.skill(spec.floor) == pytest.approx(1.0)
        assert losses.skill(spec.to_dict(), spec.floor) == pytest.approx(1.0)
        assert spec.skill(math.nan) is None


def test_skill_of_a_summed_loss_needs_the_number_of_elements() -> None:
    spec = losses.CrossEntropy(10, reduction="sum")
    assert spec.skill(64 * math.log(10)) is None
    assert spec.skill(64 * math.log(10), elements=64) == pytest.approx(0.0)
    assert losses.skill(spec.to_dict(), 1.0) is None
    assert any("summed" in sentence for sentence in spec.traps)


def test_a_loss_of_a_game_has_no_skill_in_either_form() -> None:
    spec = losses.Custom("value", chance_level=1.0, floor=0.0, game=True)
    assert spec.skill(0.5) is losses.skill(spec, 0.5) is losses.skill(spec.to_dict(), 0.5) is None


def test_a_users_class_never_reads_what_is_stored_whatever_kind_it_gives() -> None:
    told: list[object] = []

    class Told:
        def __init_subclass__(cls, flag: int = 0, **options: object) -> None:
            super().__init_subclass__(**options)
            told.append(flag)

    class Mine(losses.MSE, Told, flag=1):
        kind = "mse"

    assert type(losses.parse("mse")) is losses.MSE and told == [1]
    assert type(losses.from_dict({"kind": "mse", "params": {}})) is losses.MSE and Mine().kind == "mse"


def test_a_subclass_without_a_kind_of_its_own_leaves_the_registry_alone() -> None:
    class Mine(losses.MSE):
        """A user's own."""

    assert Mine(2.0).chance_level == 2.0
    assert losses.REGISTRY["mse"] is losses.MSE


def test_known_levels() -> None:
    assert losses.CrossEntropy(classes=10).chance_level == pytest.approx(2.302585)
    assert losses.CrossEntropy(classes=10).chance_formula == "ln 10"
    assert losses.LanguageModel(50257).chance_level == pytest.approx(10.8249, abs=1e-4)
    assert losses.LanguageModel(50257, unit="perplexity").range == (1.0, math.inf)
    assert losses.BinaryCrossEntropy().chance_level == pytest.approx(math.log(2))
    assert losses.InfoNCE(8, temperature=0.1).chance_formula == "ln 8"
    assert losses.Adversarial().chance_level == pytest.approx(2 * math.log(2))


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=30))
def test_no_priors_beat_equal_logits_in_hardness(priors: list[float]) -> None:
    spec = losses.CrossEntropy(priors=tuple(priors))
    assert 0 <= spec.floor <= spec.chance_level <= spec.initial_level * (1 + 1e-12)
    assert spec.initial_level == pytest.approx(math.log(len(priors)))


@settings(deadline=None)
@given(st.integers(2, 50), st.floats(0, 1))
def test_smoothing_raises_the_floor_up_to_chance(classes: int, smoothing: float) -> None:
    spec = losses.CrossEntropy(classes, label_smoothing=smoothing)
    assert 0 <= spec.floor <= spec.chance_level + 1e-9
    assert spec.chance_level == pytest.approx(math.log(classes))


@settings(deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(-1e6, 1e6), st.floats(0.01, 0.99))
def test_skill_is_linear_and_falls_with_the_loss(chance: float, loss: float, share: float) -> None:
    spec = {"name": "x", "chance_level": chance, "floor": 0.0}
    assert losses.skill(spec, share * chance) == pytest.approx(1 - share)
    assert (losses.skill(spec, loss) > 0) == (loss < chance)


BAD = [
    (lambda: losses.CrossEntropy(1), "classes is 1; give classes a whole number of at least 2"),
    (lambda: losses.CrossEntropy(classes=True), "classes is True"),
    (lambda: losses.CrossEntropy(3, priors=(1, 2)), "priors has 2 entries for 3 classes"),
    (lambda: losses.CrossEntropy(3, class_weights=(0, 0, 0)), "class_weights sums to zero"),
    (lambda: losses.CrossEntropy(3, label_smoothing=1.5), "label_smoothing is 1.5"),
    (lambda: losses.BinaryCrossEntropy(0.0), "pos_weight is 0.0"),
    (lambda: losses.BinaryCrossEntropy(positive_rate=1.0), "positive_rate is 1.0"),
    (lambda: losses.LanguageModel(100, unit="bytes"), "unit is 'bytes'; write one of nats, bits, perplexity"),
    (lambda: losses.MSE(-1.0), "target_variance is -1.0"),
    (lambda: losses.MSE(math.nan), "target_variance is nan"),
    (lambda: losses.MSE("big"), "target_variance is 'big'"),
    (lambda: losses.Huber(0.0), "delta is 0.0; give delta a number above 0"),
    (lambda: losses.Quantile(1.0), "q is 1.0"),
    (lambda: losses.CosineEmbedding(2.0), "margin is 2.0; give margin a number from -1 to 1"),
    (lambda: losses.MultiMargin(3, p=3), "p is '3'"),
    (lambda: losses.InfoNCE(64, temperature=0.0), "temperature is 0.0"),
    (lambda: losses.KLDivergence(2, target_entropy=5.0), "target_entropy 5 is above ln 2"),
    (lambda: losses.CTC(5, input_length=2, target_length=3), "3 labels with 0 repeats do not fit 2 frames"),
    (lambda: losses.Adversarial("poker"), "game is 'poker'"),
    (lambda: losses.Composite({}), "it has no parts"),
    (lambda: losses.Composite({"a": 3}), "part a is a int"),
    (lambda: losses.Composite({"a": losses.MSE()}, weights={"b": 1.0}), "weights names b; its parts are a"),
    (lambda: losses.Composite({"a": losses.MSE()}, weights={"a": -1.0}), "is -1.0"),
    (lambda: losses.Custom("x", chance_level=0.0, floor=1.0), "chance_level 0 is below floor 1"),
    (lambda: losses.MSE(reduction="average"), "reduction is 'average'; write one of mean, sum, none, batchmean"),
    (lambda: losses.from_dict({"kind": "crossentropy"}), "did you mean 'cross_entropy'?"),
    (
        lambda: losses.from_dict({"kind": "huber", "params": {"dleta": 1}}),
        "has no parameter dleta; did you mean 'delta'?",
    ),
    (lambda: losses.from_dict({"kind": "huber", "params": [1]}), "params is not a mapping"),
    (lambda: losses.CrossEntropy.from_targets([0.5, 1.0]), "not class labels"),
    (lambda: losses.PoissonNLL.from_targets([-1.0]), "not counts"),
    (lambda: losses.MSE.from_targets([]), "empty"),
    (lambda: losses.from_torch(3), "it cannot be called"),
]


@pytest.mark.parametrize(("build", "said"), BAD, ids=[said for _, said in BAD])
def test_a_bad_parameter_is_named_with_its_fix(build, said: str) -> None:
    with pytest.raises(LossError) as caught:
        build()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, (MonitorError, ValueError))


def test_a_plain_dictionary_is_read_as_custom() -> None:
    spec = losses.from_dict({"name": "lddt", "chance_level": 0.9, "floor": 0.0})
    assert (spec.kind, spec.name, spec.initial_level) == ("custom", "lddt", 0.9)


def test_targets_set_the_levels() -> None:
    spec = losses.CrossEntropy.from_targets([0, 0, 0, 1, -100], ignore_index=-100)
    assert spec.priors == (0.75, 0.25)
    assert losses.CrossEntropy.from_targets([0, 1], classes=5).classes == 5
    assert losses.MSE.from_targets([1.0, 3.0]).initial_level == pytest.approx(5.0)
    assert losses.MSE.from_targets([[1.0, 30.0], [3.0, 10.0]]).chance_level == pytest.approx((1 + 100) / 2)


def test_composite_levels_are_the_weighted_sums_of_its_parts() -> None:
    spec = losses.Composite({"a": losses.MSE(2.0), "b": losses.CrossEntropy(4)}, weights={"b": 0.5})
    assert spec.chance_level == pytest.approx(2.0 + 0.5 * math.log(4))
    unknown = losses.Composite({"a": losses.MSE(2.0), "l2": losses.Custom("l2", floor=0.0)})
    assert unknown.chance_level is None
    assert unknown.floor == 0.0
    switched_off = losses.Composite({"a": losses.MSE(2.0), "b": losses.Custom()}, weights={"b": 0.0})
    assert switched_off.chance_level == 2.0


PARSED = [
    ("cross_entropy(classes=10)", losses.CrossEntropy(10)),
    ("CrossEntropyLoss(10, label_smoothing=0.1)", losses.CrossEntropy(10, label_smoothing=0.1)),
    ("torch.nn.HuberLoss(0.5)", losses.Huber(0.5)),
    ("mse", losses.MSE()),
    ("MSE(2.5)", losses.MSE(2.5)),
    ("bce(pos_weight=3)", losses.BinaryCrossEntropy(3)),
    ("language_model(100, unit='bits')", losses.LanguageModel(100, unit="bits")),
    ("ce(priors=[0.5, 0.5])", losses.CrossEntropy(2, priors=(0.5, 0.5))),
    ("InfoNCE(64, temperature=0.5)", losses.InfoNCE(64, temperature=0.5)),
    (
        "composite(data=mse(1.0), l2=0.01 * custom('l2', floor=0))",
        losses.Composite({"data": losses.MSE(1.0), "l2": losses.Custom("l2", floor=0)}, weights={"l2": 0.01}),
    ),
]


@pytest.mark.parametrize(("text", "spec"), PARSED, ids=[text for text, _ in PARSED])
def test_strings_are_read(text: str, spec: losses.LossSpec) -> None:
    assert losses.parse(text) == spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("croos_entropy", "did you mean 'cross_entropy'?"),
        ("", "it cannot be read"),
        ("cross_entropy(", "it cannot be read"),
        ("3", "is not a loss"),
        ("mse(__import__('os').system('true'))", "is not a number, word or list"),
        ("mse(**{})", "name every parameter"),
        ("mse(1, 2)", "takes 1 unnamed"),
        ("composite(mse())", "a part has no name"),
        ("composite(a='x' * mse())", "the weight of a is 'x'"),
    ],
)
def test_a_string_that_cannot_be_read_says_why(text: str, said: str) -> None:
    with pytest.raises(LossError, match=said.replace("?", r"\?")):
        losses.parse(text)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_string_is_a_specification_or_a_loss_error(text: str) -> None:
    with contextlib.suppress(LossError):
        assert isinstance(losses.parse(text), losses.LossSpec)


def test_spec_of_takes_what_init_is_given() -> None:
    spec = losses.Huber(2.0)
    assert losses.spec_of(spec) is spec
    assert losses.spec_of("huber(2.0)") == losses.spec_of(spec.to_dict()) == spec


def test_every_kind_is_public_and_registered() -> None:
    for kind, cls in losses.REGISTRY.items():
        assert getattr(losses, cls.__name__) is cls
        assert losses.kind_of(kind) == kind
    assert {spec.kind for spec in EXAMPLES} == set(losses.REGISTRY)
    assert all(hasattr(losses, name) for name in losses.__all__)
    with pytest.raises(AttributeError):
        losses.nothing  # noqa: B018 - the access is what is tested


def test_importing_the_room_loads_neither_numpy_nor_torch() -> None:
    code = (
        "import sys; from monitor import losses; losses.CrossEntropy(10).to_dict(); losses.parse('mse(1.0)');"
        "losses.check_initial({'chance_level': 1.0}, [1.0]);"
        "bad = {'numpy', 'torch', 'sklearn'} & set(sys.modules); sys.exit(', '.join(bad) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["rmse", "bpr", "log_cosh", "LogCoshLoss", "ranknet", "tversky", "RMSE"])
def test_a_name_that_people_use_gives_a_specification(name: str) -> None:
    from monitor.run.options import loss_of

    assert loss_of(name)["kind"] in losses.REGISTRY


def test_a_name_that_is_not_known_is_kept_with_a_warning_that_names_the_nearest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from monitor.run.options import loss_of

    assert loss_of("cross_entorpy") == {"name": "cross_entorpy"}
    assert "did you mean 'cross_entropy'?" in caplog.text
    assert loss_of("perceptual") == {"name": "perceptual"}
    assert "losses.Custom('perceptual', floor=0.0)" in caplog.text
