"""Reads the loss and the optimizer from a framework's own objects: a run then shows chance level and skill by itself.

No framework is imported here. What is not recognised stays unknown; nothing here can fail a training.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from monitor.losses import LossSpec, from_torch, parse, torch_name
from monitor.run.start import Run

_LOG: Final = logging.getLogger("monitor")
_ATTRIBUTES: Final = ("criterion", "loss_fn", "loss_fun", "loss_func", "loss_function", "loss")
"""Attributes in which models keep their loss."""
_CLASSES: Final = ("num_classes", "n_classes", "num_labels")
_NAMED: Final[Mapping[str, str]] = {
    "mse": "mse", "mean_squared_error": "mse", "meansquarederror": "mse", "squared_error": "mse", "l2": "mse",
    "mae": "mae", "mean_absolute_error": "mae", "meanabsoluteerror": "mae", "l1": "mae",
    "huber": "huber", "hinge": "hinge", "squared_hinge": "hinge(squared=True)", "squaredhinge": "hinge(squared=True)",
    "binary_crossentropy": "binary_cross_entropy", "binarycrossentropy": "binary_cross_entropy",
    "logloss": "binary_cross_entropy", "binary_logloss": "binary_cross_entropy",
    "categorical_crossentropy": "cross_entropy", "categoricalcrossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy", "sparsecategoricalcrossentropy": "cross_entropy",
    "mlogloss": "cross_entropy", "multi_logloss": "cross_entropy",
}  # fmt: skip
"""Losses by their names in Keras, XGBoost, LightGBM and scikit-learn."""


def tell(run: Run | None, read: Callable[[], LossSpec | None]) -> None:
    """Describe the loss to a run, unless the user has already done so.

    Args:
        run: the run; None: do nothing.
        read: returns the loss, or None; may raise anything.
    """
    if run is None or run.loss_known:
        return
    try:
        found = read()
        if found is not None and found.kind != "custom":
            run.update_loss(found)
    except Exception as error:  # knowing the loss is optional, the training is not
        _LOG.debug("run %s: the loss could not be read from the framework: %s", run.name, error)


def named(name: object, classes: int | None = None) -> LossSpec | None:
    """The loss that frameworks call by this name; None if the name or the number of classes is unknown.

    >>> spec = named("multi_logloss", classes=10)
    >>> spec.kind, round(spec.chance_level, 3)
    ('cross_entropy', 2.303)
    >>> named("sparse_categorical_crossentropy"), named("my_loss", classes=10)
    (None, None)
    """
    text = _NAMED.get(name.lower()) if isinstance(name, str) else None
    if text is None:
        return None
    if text != "cross_entropy":
        return parse(text)
    return parse(f"cross_entropy(classes={int(classes)})") if classes is not None and classes >= 2 else None


def of_torch(loss: object, model: object = None) -> LossSpec | None:
    """The loss that a module or function of torch computes; None for anything else.

    Args:
        model: gives the number of classes if the loss does not.
    """
    name = torch_name(loss)
    if name is None:
        return None
    known = {}
    if name in ("CrossEntropyLoss", "NLLLoss"):
        classes = classes_of(model)
        if classes is None and getattr(loss, "weight", None) is None:
            return None
        known = {} if classes is None else {"classes": classes}
    return from_torch(loss, **known)


def of_torch_model(model: Any) -> LossSpec | None:
    """The loss that a model keeps in an attribute such as `criterion`."""
    found = [getattr(model, name, None) for name in _ATTRIBUTES]
    specs = [spec for loss in found if loss is not None and (spec := of_torch(loss, model)) is not None]
    return specs[0] if specs else None


def classes_of(model: Any) -> int | None:
    """The number of classes of a torch model: an attribute, in `hparams` or `config`, else its last layer's width."""
    for place in (model, getattr(model, "hparams", None), getattr(model, "config", None)):
        for name in _CLASSES:
            value = place.get(name) if isinstance(place, Mapping) else getattr(place, name, None)
            if isinstance(value, int) and value >= 2:
                return value
    leaves = [m for m in model.modules() if getattr(m, "weight", None) is not None] if model is not None else []
    width = getattr(leaves[-1], "out_features", None) if leaves else None
    return width if isinstance(width, int) and width >= 2 else None


def of_transformer(model: Any, smoothing: float = 0.0) -> LossSpec | None:
    """The loss of a Hugging Face model, by its head and its configuration."""
    config, head = model.config, type(model).__name__
    kind = getattr(config, "problem_type", None)
    if head.endswith(("ForCausalLM", "LMHeadModel", "ForMaskedLM", "ForConditionalGeneration")):
        vocab = getattr(config, "vocab_size", None)
        return parse(f"language_model(vocab={int(vocab)})") if vocab and not smoothing else None
    if not head.endswith("Classification"):
        return None
    labels = int(config.num_labels)
    if kind == "multi_label_classification":
        return parse("binary_cross_entropy")
    if kind == "regression" or (kind is None and labels == 1):
        return parse("mse")
    return parse(f"cross_entropy(classes={labels}, label_smoothing={float(smoothing)})")


def optimizer_config(optimizer: Any) -> dict[str, object]:
    """The name of a torch optimizer and the settings of its first parameter group."""
    first = {k: v for k, v in optimizer.param_groups[0].items() if isinstance(v, int | float | bool)}
    return {"name": type(optimizer).__name__, **first}


def learning_rates(optimizer: Any) -> dict[str, Any]:
    """The learning rates of a torch optimizer, by series name; none for None and other objects."""
    groups = getattr(optimizer, "param_groups", ())
    return {"lr" if i == 0 else f"lr/group{i}": group["lr"] for i, group in enumerate(groups)}
