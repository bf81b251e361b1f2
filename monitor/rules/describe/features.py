"""The input of the rules: a run at a check, with a view of each of its series and the facts of its state."""

from __future__ import annotations

from monitor.roles.words import RETURNS, words_of
from monitor.rules.describe.composition import Composition
from monitor.rules.describe.goal import GoalView
from monitor.rules.describe.view import View
from monitor.rules.sketch.lazy import lazy
from monitor.rules.sketch.parts import Parts
from monitor.rules.sketch.state import GRAD, TRAIN, VAL, VIEWS, State


class Features:
    """A run at a check: views of its series, and what its state knows.

    Attributes:
        state: counters, and what is known about the loss function; read-only for rules.
        step: step of the point that closed the bucket.
    """

    def __init__(self, state: State, step: float) -> None:
        self.state, self.step = state, step

    @lazy
    def train(self) -> View:
        """The training loss."""
        return self._view(TRAIN)

    @lazy
    def val(self) -> View:
        """The validation loss."""
        return self._view(VAL)

    @lazy
    def grad(self) -> View:
        """The gradient norm."""
        return self._view(GRAD)

    def _view(self, role: int) -> View:
        state = self.state
        curve, view = state.curves[role], state.views.get(role)
        if view is not None and view.centres is curve.x and state.owned & VIEWS << role:
            view.renew(curve)
            return view
        view = View(curve, state.floor if role != GRAD else 0.0, view)
        state.views = {**state.views, role: view}
        state.owned |= VIEWS << role
        return view

    @lazy
    def goal(self) -> GoalView | None:
        """The metric that the training optimises for; None if none was logged."""
        return None if self.state.goal is None else GoalView(self.state.goal)

    @property
    def policy(self) -> bool:
        """Whether the goal may wander: the run is a game, or the goal is the return of a policy."""
        goal = self.state.goal
        return self.state.game or (goal is not None and not RETURNS.isdisjoint(words_of(goal.name)))

    @lazy
    def parts(self) -> Composition:
        """The parts of a composite loss; empty if none were logged."""
        return Composition(self.state.parts or Parts())

    @property
    def by_epoch(self) -> bool:
        """Whether a training point covers a pass over the data: there are at most two per validation point.

        The unit does not tell: runs that log by epoch may call epochs steps, and steps may count samples or tokens.
        """
        return self.state.train_seen <= 2 * self.state.val_seen

    @lazy
    def judged(self) -> View:
        """The validation loss, or the training loss if no validation loss was logged."""
        return self.val if self.state.judged == VAL else self.train

    @lazy
    def descent(self) -> View:
        """The training loss, or the validation loss if no training loss was logged."""
        return self.train if self.state.train_seen or not self.state.val_seen else self.val
