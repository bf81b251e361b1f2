"""Boosted trees: the staged losses of scikit-learn, XGBoost and LightGBM; a step is a tree."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn import datasets, metrics
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, GradientBoostingRegressor

from ..loops import Curves

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def split(x: np.ndarray, y: np.ndarray, n_val: int) -> Arrays:
    return x[n_val:], y[n_val:], x[:n_val], y[:n_val]


def friedman(n: int, noise: float, seed: int = 0, scale: float = 1.0) -> Arrays:
    x, y = datasets.make_friedman1(n + 300, noise=noise, random_state=seed)
    return split(x, y * scale, 300)


def classes(n: int, wrong: float, seed: int = 0) -> Arrays:
    x, y = datasets.make_classification(
        n + 300, 20, n_informative=8, n_classes=2, flip_y=wrong, class_sep=0.8, random_state=seed
    )
    return split(x, y, 300)


def hastie(n: int, seed: int = 0) -> Arrays:
    x, y = datasets.make_hastie_10_2(n + 500, random_state=seed)
    return split(x, (y > 0).astype(int), 500)


def noise_only(n: int, seed: int = 0) -> Arrays:
    """Targets that have nothing to do with the inputs."""
    rng = np.random.default_rng(seed)
    return split(rng.standard_normal((n + 300, 10)), rng.integers(0, 2, n + 300), 300)


def _curves(train: list[float], val: list[float], every: int = 1) -> Curves:
    curves = Curves("step")
    for i, (a, b) in enumerate(zip(train, val, strict=True), 1):
        curves.log(i, train=a, val=b if i % every == 0 else None)
    return curves


def xgboost(part: Arrays, rounds: int, metric: str, **params: Any) -> Curves:
    import xgboost as xgb

    a, b = xgb.DMatrix(part[0], part[1]), xgb.DMatrix(part[2], part[3])
    found: dict[str, dict[str, list[float]]] = {}
    params = {"eval_metric": metric, "nthread": 1, "seed": 0, **params}
    xgb.train(params, a, rounds, [(a, "train"), (b, "val")], evals_result=found, verbose_eval=False)
    return _curves(found["train"][metric], found["val"][metric])


def lightgbm(part: Arrays, rounds: int, metric: str, **params: Any) -> Curves:
    import lightgbm as lgb

    a = lgb.Dataset(part[0], part[1])
    b = lgb.Dataset(part[2], part[3], reference=a)
    found: dict[str, dict[str, list[float]]] = {}
    params = {"metric": metric, "num_threads": 1, "verbose": -1, "seed": 0, **params}
    lgb.train(params, a, rounds, [a, b], ["train", "val"], callbacks=[lgb.record_evaluation(found)])
    return _curves(found["train"][metric], found["val"][metric])


def regression(part: Arrays, every: int = 1, **params: Any) -> Curves:
    x, y, x_val, y_val = part
    model = GradientBoostingRegressor(random_state=0, **params).fit(x, y)
    val = [metrics.mean_squared_error(y_val, p) for p in model.staged_predict(x_val)]
    return _curves([metrics.mean_squared_error(y, p) for p in model.staged_predict(x)], val, every)


def classification(part: Arrays, kind: type, every: int = 1, **params: Any) -> Curves:
    x, y, x_val, y_val = part
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind(random_state=0, **params).fit(x, y)
        train = [metrics.log_loss(y, p) for p in model.staged_predict_proba(x)]
        return _curves(train, [metrics.log_loss(y_val, p) for p in model.staged_predict_proba(x_val)], every)


gbc = partial(classification, kind=GradientBoostingClassifier)
REGRESSION: dict[str, Callable[[], Curves]] = {
    "xgb": lambda: xgboost(friedman(1500, 1), 200, "rmse", eta=0.1, max_depth=3),
    "xgb-few-noisy": lambda: xgboost(friedman(120, 5), 300, "rmse", eta=0.1, max_depth=6),
    "xgb-slow": lambda: xgboost(friedman(1000, 1), 100, "rmse", eta=0.01, max_depth=4),
    "xgb-rate-over-two": lambda: xgboost(friedman(600, 1), 60, "rmse", eta=2.3, max_depth=3),
    "lgb": lambda: lightgbm(friedman(1500, 1), 300, "l2", learning_rate=0.05, num_leaves=15),
    "lgb-noisy": lambda: lightgbm(friedman(300, 6), 400, "l2", learning_rate=0.1, num_leaves=31, min_data_in_leaf=5),
    "lgb-millions": lambda: lightgbm(friedman(800, 1, scale=1e4), 150, "l2", learning_rate=0.1, num_leaves=15),
    "sklearn": lambda: regression(friedman(600, 1), n_estimators=200),
    "sklearn-deep": lambda: regression(friedman(200, 4), n_estimators=150, max_depth=6, every=5),
    "sklearn-subsample": lambda: regression(friedman(800, 2), n_estimators=250, subsample=0.3, learning_rate=0.05),
}
CLASSIFICATION: dict[str, Callable[[], Curves]] = {
    "xgb": lambda: xgboost(classes(1500, 0.02), 200, "logloss", eta=0.1, max_depth=3, objective="binary:logistic"),
    "xgb-wrong-labels": lambda: xgboost(
        classes(400, 0.3), 250, "logloss", eta=0.2, max_depth=6, objective="binary:logistic"
    ),
    "xgb-hastie": lambda: xgboost(hastie(2000), 400, "logloss", eta=0.1, max_depth=2, objective="binary:logistic"),
    "xgb-too-fast": lambda: xgboost(
        classes(500, 0.1), 80, "logloss", eta=6.0, max_depth=3, objective="binary:logistic"
    ),
    "lgb": lambda: lightgbm(classes(1500, 0.02), 150, "binary_logloss", objective="binary", learning_rate=0.05),
    "lgb-noise": lambda: lightgbm(noise_only(400), 150, "binary_logloss", objective="binary", learning_rate=0.1),
    "lgb-stopped-early": lambda: lightgbm(
        hastie(1500), 40, "binary_logloss", objective="binary", learning_rate=0.03, num_leaves=7
    ),
    "lgb-frozen": lambda: lightgbm(
        hastie(800), 60, "binary_logloss", objective="binary", learning_rate=0.1, min_gain_to_split=1e6
    ),
    "sklearn": lambda: gbc(hastie(800), n_estimators=250, max_depth=1),
    "sklearn-wrong-labels": lambda: gbc(classes(300, 0.4), n_estimators=200, max_depth=4, every=4),
    "adaboost": lambda: classification(hastie(800), AdaBoostClassifier, n_estimators=120),
    "adaboost-noise": lambda: classification(classes(400, 0.4), AdaBoostClassifier, n_estimators=150),
}
