"""`monitor losses` as a user calls it."""

import json

import pytest
from typer.testing import CliRunner

from monitor.cli import app
from monitor.errors import LossError


def call(*args: str) -> str:
    result = CliRunner().invoke(app, ["losses", *args], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_profile_passes_the_losss_own_parameters_on():
    data = json.loads(call("profile", "torch.nn.HuberLoss", "--delta", "2", "--json"))
    assert data["symmetric"] is True
    assert data["border_growth"] == "linear"
    assert data["lipschitz"] == pytest.approx(2, rel=0.01)


def test_profile_as_text_has_the_table_and_the_sentences():
    out = call("profile", "torch.nn.MSELoss")
    assert "growth at the border  quadratic" in out
    assert "• Growth at the border" in out
    assert "█▇" in out and "loss 0 to" in out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["profile", "torch.nn.Nope"], "has no Nope"),
        (["profile", "torch.nn.HuberLoss", "delta"], "write parameters as --name value"),
        (["profile", "torch.nn.MSELoss", "--reduction", "none"], "reduction"),
        (["advise", "--task", "clasification"], "did you mean 'classification'"),
        (["advise", "--task", "binary", "--imbalance", "many"], "write it as 100:1"),
    ],
)
def test_bad_input_is_one_error_that_names_the_fix(args, said):
    result = CliRunner().invoke(app, ["losses", *args])
    assert isinstance(result.exception, LossError)
    assert said in str(result.exception)


def test_advise_ranks_a_robust_loss_above_mse_where_there_are_outliers():
    data = json.loads(call("advise", "--task", "regression", "--outliers", "--json"))
    assert [c["loss"] for c in data["candidates"]][-1] == "mse"


def test_compare_trains_and_ranks():
    out = call("compare", "mse", "mae", "--data", "diabetes", "--seeds", "2", "--epochs", "2")
    assert "mse" in out
    assert "mae" in out
