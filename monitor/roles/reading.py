"""Decides the roles of all series of a run from all their names together.

A single name says little: `test_loss` is the validation loss if nothing else is held out, and `mean_squared_error` is
the loss if nothing is called a loss. So the names are split into words and ranked against each other. Case, separators
and prefixes make no difference. The order of names only breaks ties: the first wins.

When a new name appears, the roles are decided again. They depend only on the names so far, not on how the names were
batched. A run whose series change their roles is diagnosed again from its stored points.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from monitor.roles import words as w
from monitor.roles.name import Name, Role, What, name_of
from monitor.roles.said import NOTHING, Said

LOSSES: Final = (What.LOSS, What.ERROR, What.BARE)
"""Kinds that can be the loss, in order of preference."""
_PER_POINT: Final = {"step": 0, "": 0, "epoch": 1, "smooth": 2}
_PER_EVALUATION: Final = {"": 0, "epoch": 0, "step": 1, "smooth": 2}
_OF_GOAL: Final = {"val": 0, "": 1, "test": 2, "train": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The roles of a run's series.

    Attributes:
        roles: the role of every name.
        judged: for each role that one series fills, that series.
        goal_rises: True if higher is better for the goal; None without a goal.
        game: True if the losses are sides of a game or follow a policy, so that their level is not an error.
        said: what the user said.
    """

    roles: Mapping[str, Role] = field(default_factory=dict)
    judged: Mapping[Role, str] = field(default_factory=dict)
    goal_rises: bool | None = None
    game: bool = False
    said: Said = NOTHING

    def to_dict(self) -> dict[str, object]:
        """What a run stores: the summary line, the goal and its direction, and whether the losses are of a game."""
        goal = self.judged.get(Role.GOAL)
        return {"line": self.line(), "goal": goal, "rises": self.goal_rises, "game": self.game}

    def line(self) -> str:
        """The decisions and their reasons, in one line."""
        return "; ".join(_phrases(self)) or "No series is known as a loss or a goal by its name."


def read(names: Iterable[str], said: Said = NOTHING) -> Reading:
    """Decide the roles of a run's series.

    Args:
        names: in order of first appearance.

    >>> reading = read(["Loss/train", "Loss/test", "Accuracy/test"])
    >>> {str(role): key for role, key in reading.judged.items()}
    {'train': 'Loss/train', 'val': 'Loss/test', 'goal': 'Accuracy/test'}
    """
    known = _numbered_sets([name_of(key) for key in dict.fromkeys(names)])
    roles = {name.key: _ALONE.get(name.what, Role.UNMAPPED) for name in known}
    judged: dict[Role, str] = {}
    told = {role: key for role in (Role.TRAIN, Role.VAL, Role.GOAL) if (key := said.match(role, roles)) is not None}
    players = len({word for name in known if name.what is What.LOSS for word in w.PLAYERS.intersection(name.rest)}) > 1
    for name in known:
        if _is_part(name) and not (players and w.PLAYERS.intersection(name.rest)):
            roles[name.key] = Role.PART
    losses = [name for name in known if name.what in LOSSES and not name.derived and roles[name.key] is not Role.PART]
    losses = _of_losses(losses)
    free = [name for name in losses if name.key not in (told.get(Role.TRAIN), told.get(Role.VAL))]
    train = _train(free, roles, judged) if Role.TRAIN not in told else name_of(told[Role.TRAIN])
    if Role.VAL not in told:
        _val(free, train, roles, judged)
    for role in (Role.TRAIN, Role.VAL):
        if role in told:
            roles[told[role]], judged[role] = role, told[role]
    for role in (Role.LR, Role.GRAD_NORM):
        first = next((name.key for name in known if roles[name.key] is role), None)
        if first is not None:
            judged[role] = first
    rising = _goal(known, told, roles, judged, said)
    order = {role: judged[role] for role in Role if role in judged}
    return Reading(roles=roles, judged=order, goal_rises=rising, game=_is_game(known, losses), said=said)


def _numbered_sets(known: list[Name]) -> list[Name]:
    """Treat the first of several numbered evaluation sets of XGBoost as the training set, if no name is for training.

    XGBoost's own examples list the training set first: `eval_set=[(X_train, y_train), (X_test, y_test)]`.
    """
    numbered = {name.key: int(found[1]) for name in known if (found := _NUMBERED_SET.match(name.key)) is not None}
    others = [name for name in known if name.key not in numbered]
    if len(set(numbered.values())) < 2 or any(name.group == "train" or name.what is What.LOSS for name in others):
        return known
    return [replace(name, group="train") if numbered.get(name.key) == 0 else name for name in known]


_NUMBERED_SET: Final = re.compile(r"validation_(\d{1,3})[-/]")


def _of_losses(losses: Sequence[Name]) -> list[Name]:
    """Drop bare data sets, such as `train` and `val`, if the run also has a training loss: then they are not losses."""
    trained = [name for name in losses if name.group in ("train", "")]
    sets = {name.key for name in trained if name.what is What.BARE and name.group}
    if not sets or all(name.key in sets for name in trained):
        return list(losses)
    return [name for name in losses if name.what is not What.BARE or not name.group]


_ALONE: Final = {What.SYSTEM: Role.SYSTEM, What.LR: Role.LR, What.GRAD_NORM: Role.GRAD_NORM}


def _train(losses: Sequence[Name], roles: dict[str, Role], judged: dict[Role, str]) -> Name | None:
    """The training loss: a loss before an error, a total before a part."""

    def rank(name: Name) -> tuple[object, ...]:
        last = not name.words.isdisjoint(("batch", "minibatch"))  # AllenNLP logs `batch_loss` next to `loss`
        return (not name.total, _is_rate(name), _PER_POINT[name.averaged], last, not name.leaf)

    found = [name for name in losses if name.group in ("train", "")]
    return _take(_alike(found), Role.TRAIN, rank, roles, judged)


def _val(losses: Sequence[Name], train: Name | None, roles: dict[str, Role], judged: dict[Role, str]) -> None:
    """The validation loss. A test set is used only if nothing else is held out."""
    found = [name for name in losses if name.group == "val"]
    tested = [name for name in losses if name.group == "test"]
    same = () if train is None else train.rest

    def rank(name: Name) -> tuple[object, ...]:
        averaged = _PER_EVALUATION[name.averaged]
        return (name.rest != same, not name.total, _is_rate(name), name.index, averaged, _spelled_out(name))

    for name in _alike(tested):
        roles[name.key] = Role.VAL
    _take(_alike(found) or _alike(tested), Role.VAL, rank, roles, judged)


def _is_rate(name: Name) -> bool:
    """True for a rate of errors; next to a likelihood or a distance it is not the loss."""
    return name.what is What.ERROR and not name.words & (w.ERRORS - w.RATES) and not name.words & w.DISTANCES


def _alike(found: Sequence[Name]) -> list[Name]:
    """The names of the most preferred kind; only the totals, if there are any."""
    kind = next((what for what in LOSSES if any(name.what is what for name in found)), None)
    same = [name for name in found if name.what is kind]
    return [name for name in same if not name.rest] or same


def _take(
    found: Sequence[Name],
    role: Role,
    rank: Callable[[Name], tuple[object, ...]],
    roles: dict[str, Role],
    judged: dict[Role, str],
) -> Name | None:
    """Give a role to all of them. The best one is diagnosed; the first one on a tie."""
    best = min(found, key=rank, default=None)
    if best is None:
        return None
    for name in found:  # a different error of the same set is another quantity, and may be the goal
        if best.what is not What.ERROR or (name.words & w.ERRORS) == (best.words & w.ERRORS):
            roles[name.key] = role
    judged[role] = best.key
    return best


def _is_part(name: Name) -> bool:
    """True for `loss/<part>`, unless that is the loss of a data set or of a player, or a statistic of the loss."""
    whole = not name.rest or name.group or name.words & w.GAME or set(name.rest) <= w.DERIVED
    return not whole and name.key.strip().lower().startswith("loss/")


def _goal(
    known: Sequence[Name], told: Mapping[Role, str], roles: dict[str, Role], judged: dict[Role, str], said: Said
) -> bool | None:
    """Choose the goal; True if higher is better. A series diagnosed as a loss is not also the goal."""
    if Role.GOAL in told:
        key = told[Role.GOAL]
        rising = said.rises if said.rises is not None else name_of(key).rising
        if not rising and key in judged.values():
            return None
        judged.update({Role.GOAL: key})
        for role in [role for role, other in judged.items() if other == key and role is not Role.GOAL]:
            del judged[role]
        roles[key] = Role.GOAL
        return rising is not False
    found = [name for name in known if roles[name.key] is Role.UNMAPPED and _may_be_goal(name, Role.VAL in judged)]
    best = min(found, key=_goal_rank, default=None)
    if best is None:
        return None
    roles[best.key], judged[Role.GOAL] = Role.GOAL, best.key
    return bool(best.rising)


def _may_be_goal(name: Name, validated: bool) -> bool:
    if name.what not in (What.METRIC, What.ERROR) or name.derived or name.words & w.GAME:
        return False
    if name.group == "train" and validated:
        return False
    return bool(name.rising) or name.group in ("val", "test") or bool(name.words & w.FALLING_GOALS)


def _goal_rank(name: Name) -> tuple[int, int, bool, int, int, int, bool]:
    place = min((w.GOALS[word] for word in name.words if word in w.GOALS), default=len(w.GOALS))
    if "score" in name.words and name.words.isdisjoint(w.GOALS.keys() - {"score"}) and not name.rest:
        place = 0  # a plain "score" is what training is selected by
    said = sum(word in w.GOALS for word in name.words)  # `reward` before `rewards/accuracy_reward`
    averaged = _PER_EVALUATION[name.averaged]
    return (_OF_GOAL[name.group], place, bool(name.rest), said, name.index, averaged, _spelled_out(name))


def _spelled_out(name: Name) -> bool:
    """True for `validation_loss`, which MLflow adds next to Keras' `val_loss`: the same values, all at step 0."""
    return "validation" in name.words


def _is_game(known: Sequence[Name], losses: Sequence[Name]) -> bool:
    """True if the losses are not errors, by their names and by series of returns next to them."""
    if any(name.words & w.GAME for name in losses) or any(_is_of_players(name) for name in known):
        return True
    if len({word for name in losses for word in name.rest if word in w.WEAK_GAME}) > 1:
        return True
    returns = [name for name in known if name.words & w.RETURNS]
    if any(name.words & w.PREFERENCES for name in known if name.words & w.RETURNS) or not losses:
        return False
    validated = any(name.group == "val" for name in losses)
    return any(name.words & w.EPISODES for name in returns) or bool(returns and not validated)


def _is_of_players(name: Name) -> bool:
    """True for a side of a game named without a word for loss, such as CycleGAN's `G_GAN` and `D_real`."""
    if name.what is not What.OTHER:
        return False
    sides = name.words & w.PLAYERS
    return bool(sides and name.words & {"gan", "adv", "real", "fake"})


def _phrases(reading: Reading) -> list[str]:
    judged, said = reading.judged, reading.said
    found = []
    for role, words in ((Role.TRAIN, "training loss"), (Role.VAL, "validation loss"), (Role.GOAL, "goal")):
        key = judged.get(role)
        if key is None:
            found += _goal_is_loss(reading) if role is Role.GOAL else []
            continue
        why = ["as you said"] if said.match(role, (key,)) else []
        if role is Role.GOAL:
            if why and said.rises is None and name_of(key).rising is None:
                why.append("assuming that higher is better; add :min otherwise")
            else:
                why.insert(0, "higher is better" if reading.goal_rises else "lower is better")
        elif not why and role is Role.VAL and name_of(key).group == "test":
            why.append("a test set stands for it")
        elif not why and role is Role.TRAIN and _NUMBERED_SET.match(key):
            why.append("the first evaluation set, as is usual; name another with --train")
        elif not why and name_of(key).rest:
            why.append(_part_of(key, reading))
        others = sum(other is role for other in reading.roles.values()) - 1
        if others and not said.match(role, (key,)):
            why.append(f"first of {others + 1}")
        found.append(f"{words}: {key}" + (f" ({', '.join(filter(None, why))})" if any(why) else ""))
    parts = sum(role is Role.PART for role in reading.roles.values())
    if parts:
        found.append(f"{parts} parts")
    if reading.game:
        found.append("the losses are of a game or a policy, so their level is not an error of the model")
    return [*found, *said.missing(reading.roles)]


def _part_of(key: str, reading: Reading) -> str:
    return "no total loss was logged" if reading.roles[key] is Role.TRAIN else ""


def _goal_is_loss(reading: Reading) -> list[str]:
    """What happened to a goal that is already diagnosed as a loss."""
    names = {Role.TRAIN: "training", Role.VAL: "validation"}
    goal = reading.said.match(Role.GOAL, reading.roles)
    return [f"goal: {key}, judged as the {names[role]} loss" for role, key in reading.judged.items()
            if key == goal and role in names]  # fmt: skip
