from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import SettingsError
from monitor.roles import Role, read, role_of, said_of

TRAIN, VAL, GOAL = Role.TRAIN, Role.VAL, Role.GOAL


@pytest.mark.parametrize(
    ("keys", "role"),
    [
        (
            "train_loss train/loss loss Loss TRAIN-LOSS train.loss training_loss loss_step train_loss_epoch trainLoss "
            "total_loss tr_loss L_train losses train_ce epoch_loss loss/train loss_value trainloss nll_train my_loss "
            "train-rmse mean_squared_error Loss/total loss/mean cross_entropy",
            TRAIN,
        ),
        (
            "val_loss val/loss valid_loss validation_loss eval_loss eval/loss dev_loss val_loss_epoch Val test_loss "
            "Loss/test loss/validation valLoss valid_0-l2 validation_0-logloss nll_val L_val dev_ppl perplexity/valid "
            "eval_news_loss val_loss/dataloader_idx_1 epoch_val_loss testloss val_mean_squared_error dev_ce te_loss",
            VAL,
        ),
        ("grad_norm train/grad_norm gradient_norm total_grad_norm gradNorm", Role.GRAD_NORM),
        ("lr learning_rate train/learning_rate lr-Adam lr/group0 LR learningRate", Role.LR),
        ("loss/l1 loss/kl Loss/recon loss/data loss/weight_decay", Role.PART),
        ("accuracy val_acc test/f1 reward rollout/ep_rew_mean wer val_mAP eval_bleu", GOAL),
        ("system/cpu system/gpu0/memory", Role.SYSTEM),
        ("lrx system best_val_loss loss_scale grad_norm/layer1 min_reward disc_acc epoch_time loss/min", Role.UNMAPPED),
    ],
)
def test_what_a_name_is_alone(keys: str, role: Role) -> None:
    assert {key: role_of(key) for key in keys.split()} == dict.fromkeys(keys.split(), role)


@pytest.mark.parametrize(
    ("names", "train", "val", "goal"),
    [
        ("train_loss test_loss test_acc1 train_lr", "train_loss", "test_loss", "test_acc1"),
        ("train_loss val_loss test_loss", "train_loss", "val_loss", None),
        ("test_loss dev_ppl loss", "loss", "dev_ppl", None),
        ("loss_cls loss_box_reg total_loss validation_loss lr", "total_loss", "validation_loss", None),
        ("val_loss/loader_1 val_loss/loader_0 train_loss", "train_loss", "val_loss/loader_0", None),
        ("loss mean_squared_error val_loss val_mean_squared_error", "loss", "val_loss", "val_mean_squared_error"),
        ("mean_squared_error val_mean_squared_error", "mean_squared_error", "val_mean_squared_error", None),
        ("train_loss_epoch train_loss_step val_loss_step val_loss_epoch", "train_loss_step", "val_loss_epoch", None),
        ("loss train_loss eval_loss eval_accuracy", "loss", "eval_loss", "eval_accuracy"),
        ("accuracy val_accuracy loss val_loss", "loss", "val_loss", "val_accuracy"),
        ("train/box_loss train/cls_loss val/cls_loss val/box_loss", "train/box_loss", "val/box_loss", None),
        ("eval_news_loss eval_wiki_loss loss", "loss", "eval_news_loss", None),
        ("val_kl_loss val_loss train_loss train_kl_loss", "train_loss", "val_loss", None),
        ("train_acc val_loss loss", "loss", "val_loss", None),
        ("best_val_loss val_loss loss loss_ema", "loss", "val_loss", None),
        ("step reward", None, None, "reward"),
    ],
)  # fmt: skip
def test_names_are_read_together(names: str, train: str | None, val: str | None, goal: str | None) -> None:
    judged = read(names.split()).judged
    assert (judged.get(TRAIN), judged.get(VAL), judged.get(GOAL)) == (train, val, goal)


@pytest.mark.parametrize(
    ("names", "game"),
    [
        ("critic_loss generator_loss", True), ("loss_D loss_G", True), ("d_loss g_loss", True), ("loss", False),
        ("train/policy_gradient_loss train/value_loss train/loss rollout/ep_rew_mean", True), ("loss reward kl", True),
        ("loss eval_loss rewards/chosen rewards/accuracies", False), ("train/loss rollout/ep_rew_mean", True),
        ("loss val_loss accuracy", False), ("loss loss/value val_loss", False), ("policy/lr loss", False),
    ],
)  # fmt: skip
def test_games_are_known_by_their_names(names: str, game: bool) -> None:
    assert read(names.split()).game is game


HABITS = (
    "train loss", "val loss", "test loss", "valid accuracy", "total loss", "validation mean squared error", "grad norm",
    "eval news loss", "learning rate", "train nll", "dev ppl", "D loss", "train loss step", "episode reward",
)  # fmt: skip


@given(st.sampled_from(HABITS), st.sampled_from("_/-. "), st.sampled_from((str.lower, str.upper, str.title)))
def test_case_and_separators_make_no_difference(habit: str, separator: str, case: object) -> None:
    assert role_of(case(habit).replace(" ", separator)) is role_of(habit)  # type: ignore[operator]


@given(st.sampled_from(HABITS), st.sampled_from(["metrics/", "scalars/", "charts/", "logs ", "Epoch "]))
def test_a_folder_before_the_name_makes_no_difference(habit: str, folder: str) -> None:
    assert role_of(folder + habit) is role_of(habit)


TOGETHER = [
    "total_loss", "loss_cls", "val_loss", "test_loss", "val/acc", "train_acc", "lr", "grad_norm", "best_loss",
    "val_loss_ema",
]  # fmt: skip


@given(st.permutations(TOGETHER))
def test_the_order_of_the_names_makes_no_difference(names: list[str]) -> None:
    assert read(names).roles == read(TOGETHER).roles
    assert read(names).judged == read(TOGETHER).judged


@given(st.lists(st.text(max_size=30), max_size=12))
def test_any_names_are_read_and_each_role_is_judged_by_one_of_its_own(names: list[str]) -> None:
    reading = read(names)
    assert set(reading.roles) == set(names)
    assert all(reading.roles[key] is role for role, key in reading.judged.items())
    assert reading.line()


@given(st.lists(st.sampled_from([*TOGETHER, "loss", "val_f1", "loss/kl", "reward", "mse"]), unique=True))
def test_one_at_a_time_ends_where_all_at_once_does(names: list[str]) -> None:
    for at in range(len(names)):
        before = read(names[: at + 1])
    assert not names or before == read(names)


def test_surrounding_space_does_not_matter() -> None:
    assert role_of("  train loss ") is TRAIN


def test_what_the_user_says_stands() -> None:
    said = said_of({"train": "a", "val": "Train Loss", "goal": "b:min"})
    reading = read(["train_loss", "val_loss", "a", "b", "acc"], said)
    assert dict(reading.judged) == {TRAIN: "a", VAL: "train_loss", GOAL: "b"}
    assert reading.goal_rises is False
    assert "training loss: a (as you said)" in reading.line()


def test_a_name_that_is_not_there_leaves_it_to_the_names_and_is_said() -> None:
    reading = read(["train_loss", "val_loss"], said_of({"val": "dev_ce"}))
    assert reading.judged[VAL] == "val_loss"
    assert "'dev_ce', named for validation, does not exist" in reading.line()


def test_of_a_file_a_name_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"did you mean 'dev_ce'.*there are: step, train_ce, dev_ce"):
        said_of({"val": "dev_cee"}, strict=True).check(["step", "train_ce", "dev_ce"])


@pytest.mark.parametrize("data", [{"vall": "x"}, {"train": 3}, {"goal": ":max"}, {"train": " "}])
def test_what_cannot_be_meant_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        said_of(data)


HEADERS = [
    [cell.strip() for cell in line.split(" | ")]
    for line in (Path(__file__).parent / "headers.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("header", "train", "val", "goal", "game"), HEADERS, ids=[row[0][:60] for row in HEADERS])
def test_the_headers_of_real_logs_are_read(header: str, train: str, val: str, goal: str, game: str) -> None:
    reading = read(header.split(","))
    found = [reading.judged.get(role, "-") for role in (TRAIN, VAL, GOAL)]
    assert [*found, "game" if reading.game else "-"] == [train, val, goal, game]


@pytest.mark.parametrize(
    ("names", "train", "goal"),
    [
        (["l_pix", "val_psnr"], "l_pix", "val_psnr"),
        (["train_z_logvar", "train_L_vae", "train_L_vae_recon", "train_beta"], "train_L_vae", None),
        (["L_rec", "loss"], "loss", None),
        (["l_rate", "mse"], "mse", None),
        (["Best_Fitness", "Avg_Fitness"], None, "Avg_Fitness"),
        (["loss", "meaniu"], "loss", "meaniu"),
        (["Loss/train", "hparam/accuracy", "Accuracy/test"], "Loss/train", "Accuracy/test"),
    ],
)
def test_a_letter_before_a_name_is_a_loss_where_there_is_no_other(
    names: list[str], train: str | None, goal: str | None
) -> None:
    judged = read(names).judged
    assert (judged.get(TRAIN), judged.get(GOAL)) == (train, goal)


def test_what_mlflow_adds_to_the_names_of_keras_is_not_judged() -> None:
    judged = read(["validation_loss", "validation_accuracy", "loss", "accuracy", "val_accuracy", "val_loss"]).judged
    assert dict(judged) == {TRAIN: "loss", VAL: "val_loss", GOAL: "val_accuracy"}


def test_a_goal_that_is_a_loss_leaves_the_loss_where_it_is() -> None:
    reading = read(["train_loss", "val_loss", "val_acc"], said_of({"goal": "val_loss:min"}))
    assert dict(reading.judged) == {TRAIN: "train_loss", VAL: "val_loss"}
    assert "goal: val_loss, judged as the validation loss" in reading.line()


def test_a_loss_that_is_said_to_rise_is_a_goal_and_no_loss() -> None:
    reading = read(["train_loss", "val_loss"], said_of({"goal": "val_loss:max"}))
    assert dict(reading.judged) == {TRAIN: "train_loss", GOAL: "val_loss"}


def test_a_direction_that_nobody_said_is_not_put_down_to_the_user() -> None:
    assert (
        "goal: quality (as you said, assuming that higher is better; add :min otherwise)"
        in read(["loss", "quality"], said_of({"goal": "quality"})).line()
    )


def test_one_series_for_both_losses_is_refused() -> None:
    with pytest.raises(SettingsError, match="train and val: both name 'ce'"):
        said_of({"train": "ce", "val": "ce"}).distinct()


def test_losses_listed_by_letters_do_not_make_a_game_and_the_first_is_judged():
    reading = read([f"loss_{letter}" for letter in "abcdefghijkl"])
    assert not reading.game
    assert reading.judged[Role.TRAIN] == "loss_a"
    assert read(["loss_G", "loss_D"]).game
    assert read(["loss_G_A", "loss_D_A", "loss_G_B", "loss_D_B", "loss_cycle_A"]).game
