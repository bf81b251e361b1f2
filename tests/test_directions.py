from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.directions import rises
from monitor.roles import Role, role_of, role_of_set

UP = (
    "auc aucpr map map@10 map@10- ndcg ndcg@5 ndcg@5- pre@3 precision recall f1 f1_score accuracy acc r2 r2_score "
    "auc_mu average_precision interval-regression-accuracy binary_accuracy val_acc mAP mAP50 metrics/mAP50-95(B) top5 "
    "top_1_accuracy mean_io_u IoU mIoU cosine_similarity bleu BLEU-4 rouge1 rougeL eval_f1 matthews_correlation "
    "episode_reward ep_rew_mean mean_return hits@10 psnr SSIM neg_log_loss neg_mean_squared_error AUROC trainAccuracy "
    "R2 dice_coef val_AUC F1Score balanced_accuracy cohen_kappa roc_auc exact_match win_rate"
)
DOWN = (
    "logloss mlogloss rmse rmsle error merror error@0.7 mae mape mphe poisson-nloglik gamma-deviance gamma-nloglik "
    "tweedie-nloglik@1.5 cox-nloglik aft-nloglik l1 l2 quantile huber fair poisson gamma gamma_deviance tweedie "
    "binary_logloss binary_error multi_logloss multi_error cross_entropy cross_entropy_lambda kullback_leibler "
    "mean_squared_error mean_absolute_error log_loss loss val_loss auc_loss dice_loss perplexity wer cer fid hinge "
    "categorical_crossentropy kl_divergence brier_score zero_one_loss hamming_loss negative_log_likelihood nll bce"
)


@pytest.mark.parametrize("name", UP.split())
def test_these_rise_when_things_go_well(name: str) -> None:
    assert rises(name) is True


@pytest.mark.parametrize("name", DOWN.split())
def test_these_fall_when_things_go_well(name: str) -> None:
    assert rises(name) is False


@pytest.mark.parametrize("name", ["my_metric", "", "step", "lr", "epoch_time"])
def test_of_others_nothing_is_said(name: str) -> None:
    assert rises(name) is None


@given(
    st.sampled_from(UP.split() + DOWN.split()), st.sampled_from(["val_", "test/", "train-", "eval_news_", "valid_0 "])
)
def test_the_set_before_a_metric_changes_nothing(name: str, before: str) -> None:
    assert rises(before + name) is rises(name)


@given(st.text())
def test_any_name_has_an_answer(name: str) -> None:
    assert rises(name) in (True, False, None)


@given(st.text())
def test_nothing_that_is_judged_as_a_loss_rises(key: str) -> None:
    if role_of(key) in (Role.TRAIN, Role.VAL):
        assert rises(key) is not True


@pytest.mark.parametrize(
    ("names", "role"),
    [
        ("train training Train dtrain X_train learn train_0 TRAINING-SET", Role.TRAIN),
        ("val valid valid_0 validation_1 validation eval eval_set test dtest holdout hold-out held_out dev", Role.VAL),
        ("news 0 a fold strain latest", None),
    ],
)
def test_a_set_is_known_by_its_name(names: str, role: Role | None) -> None:
    assert {name: role_of_set(name) for name in names.split()} == dict.fromkeys(names.split(), role)
