"""Whatever a specification says, it is read or refused with a `LossError`, and what is read can be stored."""

from __future__ import annotations

import json

import pytest

from monitor.errors import LossError
from monitor.losses import parse
from monitor.losses.specs.spec import LossSpec

from ..fuzzing import BUDGETS, mutants, refuses_in_one_way

SEEDS = [
    b"cross_entropy(classes=10, label_smoothing=0.1)",
    b"huber(0.5)",
    b"mse",
    b"torch.nn.HuberLoss(0.5)",
    b"composite(data=mse(1.0), l2=0.01 * custom(chance_level=2, floor=0))",
    b"quantile(0.9, target_std=2)",
    b"cross_entropy(classes=3, class_weights=[1, 2, 3])",
    b'adversarial("wgan", side="generator")',
    b"composite(a=composite(b=mae))",
    b'language_model(50000, unit="bits", reduction="sum")',
    b"poisson_nll(target_mean=3)",
]
WORDS = [
    b"(",
    b")",
    b"(" * 300,
    b"-" * 3000,
    b"composite(a=" * 150,
    b"composite()",
    b"[",
    b"]",
    b"{}",
    b"=",
    b",",
    b"*",
    b"**",
    b"None",
    b"True",
    b'"x"',
    b"1e999",
    b"9" * 400,
    b"9" * 5000,
    b"-1",
    b"0",
    b"1j",
    b"lambda: 1",
    b"x[0]",
    b"\\",
    b"\n",
    b"\0",
    b"\xed\xa0\x80",
    "ª".encode(),
    b"reduction=",
    b"classes=",
    b"parts=",
    b"weights=",
    b"kind",
    b"1if",
    b"f'{x}'",
    b"'\\d'",
]


def text_of(data: bytes) -> str:
    """With lone surrogates where they are whole, as file names of odd systems have them."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def read(data: bytes) -> None:
    spec = parse(text_of(data))
    stored = json.dumps(spec.to_dict(), allow_nan=False)
    again = LossSpec.from_dict(json.loads(stored))
    assert again.kind == spec.kind
    spec.skill(0.5, elements=3)


@pytest.mark.parametrize("seconds", BUDGETS)
def test_specifications_are_read_or_refused(seconds: float | None) -> None:
    assert refuses_in_one_way(read, mutants(SEEDS, WORDS, seconds), LossError) > 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(" * 1000, "cannot be read"),
        ("-" * 9000 + "1", "cannot be read"),
        ("composite(a=" * 500, "cannot be read"),
        ("mse" + " " * 20_000 + "()", "longer than"),
        ("composite", "needs parts"),
        ("composite()", "no parts"),
        ("cross_entropy(class_weights=5)", "cannot be used"),
        ("custom(name=(1,))", "give name as text"),
    ],
)
def test_what_no_loss_can_be_is_said_in_one_line(text: str, problem: str) -> None:
    with pytest.raises(LossError, match=problem) as caught:
        parse(text)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)
