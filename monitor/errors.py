"""Every error that this package raises on purpose.

A caller can catch `MonitorError` for all of them, or the builtin that each one specialises::

    MonitorError
    ├── SettingsError        (ValueError)       a setting that cannot be used
    ├── RulesError           (ValueError)       a rules file or a rule's parameter that cannot be used
    ├── RulesChanged         (ValueError)       a change of a rule that was decided on rules that are others by now
    ├── LossError            (ValueError)       a loss specification or a callable that cannot be used
    ├── WireError            (ValueError)       a message that does not follow the wire format; names the field
    │   ├── QueryError                          a query over the list of runs; points at the character
    │   └── BatchTooLarge                       the receiver, or a proxy before it, accepts no body of that size
    ├── OffsetGap            (ValueError)       a batch that does not start where the writer's last one ended
    ├── FileUnreadable       (ValueError)       an input file; names the file, the place and what is wrong
    │   └── NoHistory                           a file that is intact, but holds no training history
    ├── RunExists            (ValueError)       resume="never", but the run exists
    ├── MlflowRefused        (ValueError)       MLflow refuses a run; retrying would not help
    ├── StopRefused          (ValueError)       a stop that cannot be requested, or can no longer be withdrawn
    ├── StopTraining                            `should_stop(raise_=True)` ends the loop
    ├── RunNotFound          (LookupError)
    ├── SeriesNotFound       (LookupError)
    ├── MediaNotFound        (LookupError)      the run has no such image, table or histogram, or no longer keeps it
    ├── AlertNotFound        (LookupError)      no alert, silence or channel has that id or name
    ├── TokenNotFound        (LookupError)
    ├── Unauthorized         (PermissionError)  no token, or an unknown one
    │   └── Forbidden                           the token is known, but may not do this
    ├── ServerUnreachable    (ConnectionError)
    │   └── ServerFailed                        a server answered 500 to this request
    ├── DeliveryFailed       (ConnectionError)  an alert channel did not accept an alert
    └── StoreError           (RuntimeError)     the database refused
        ├── SchemaMismatch                      the database is older or newer than the code
        └── StoreBusy                           another writer held the database for too long

Each error builds its own message from typed arguments. The message says where the error is and how to fix it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self


class MonitorError(Exception):
    """Base of all errors raised on purpose by this package.

    Attributes:
        retry_after_s: seconds to wait before the next request, as the server asked; None if it did not say.
    """

    retry_after_s: float | None = None

    @classmethod
    def remade(cls, text: str, **members: object) -> Self:
        """The error that another process described by its text and attributes, without the constructor's arguments.

        >>> RunNotFound.remade("no run 'abc'", run_id="abc")
        RunNotFound("no run 'abc'")
        """
        error = cls.__new__(cls)
        Exception.__init__(error, text)
        vars(error).update(members)
        return error


class SettingsError(MonitorError, ValueError):
    """A setting cannot be used.

    Args:
        name: the setting, as the user writes it.
        fix: what to write instead.
    """

    def __init__(self, name: str, problem: str, fix: str) -> None:
        super().__init__(f"setting {name}: {problem}; {fix}")
        self.name, self.problem, self.fix = name, problem, fix


class RulesError(MonitorError, ValueError):
    """A rules file, or a parameter in it, cannot be used.

    Args:
        place: the rule and its setting, such as `overfitting.rise`.
        fix: what to write instead.
        keys: its path of keys from the top of the file, if it is in one.
    """

    keys: tuple[str, ...] = ()

    def __init__(self, place: str, problem: str, fix: str, keys: tuple[str, ...] = ()) -> None:
        super().__init__(f"rules {place}: {problem}; {fix}")
        self.place, self.problem, self.fix, self.keys = place, problem, fix, keys

    def moved(self, place: str, keys: tuple[str, ...]) -> RulesError:
        """The same error, reported at another place."""
        return RulesError(place, self.problem, self.fix, keys)


class RulesChanged(MonitorError, ValueError):
    """A change of a rule was not saved, because the rules are no longer those on which it was decided.

    Args:
        project: whose rules they are; None: those of all projects.
        found: the hash of the rules in effect.
    """

    def __init__(self, project: str | None, found: str) -> None:
        whose = "of all projects" if project is None else f"of project {project!r}"
        super().__init__(f"the rules {whose} have been changed by somebody else (hash {found} now); look at them again")
        self.project, self.found = project, found


class LossError(MonitorError, ValueError):
    """A loss specification, or a callable given as a loss, cannot be used."""

    def __init__(self, loss: str, problem: str, fix: str) -> None:
        super().__init__(f"loss {_short(loss)}: {_short(problem)}; {fix}")
        self.loss = loss


class WireError(MonitorError, ValueError):
    """A message does not follow the wire format. Nothing of it was stored.

    Args:
        field: path of the offending field, such as `points.value` or `events[2].kind`.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field, self.problem = field, problem


class QueryError(WireError):
    """A query over the list of runs cannot be read.

    Args:
        position: index of the offending character, from 0.
    """

    def __init__(self, text: str, position: int, problem: str) -> None:
        # Only the surroundings of the error are shown, so that a long query fits on a screen.
        first = max(0, position - 60) if len(text) > 120 else 0
        seen = text[first : first + 120]
        super().__init__("query", f"character {position + 1}: {problem}\n  {seen}\n  {' ' * (position - first)}^")
        self.text, self.position = text, position


class BatchTooLarge(WireError):
    """A body is larger than the server, or a proxy before it, accepts. The client then sends smaller ones by itself."""

    def __init__(self, server: str, problem: str) -> None:
        super().__init__("body", f"is larger than {server} accepts ({problem})")


class OffsetGap(MonitorError, ValueError):
    """A batch does not start at the writer's acknowledged offset; send again from `expected`."""

    writer: str = ""

    def __init__(self, run_id: str, writer: str, *, expected: int, got: int) -> None:
        super().__init__(
            f"run {run_id}, writer {writer}: batch starts at record {got}, expected {expected}; "
            f"send again from record {expected}"
        )
        self.run_id, self.writer, self.expected, self.got = run_id, writer, expected, got


class FileUnreadable(MonitorError, ValueError):
    """An input file cannot be read.

    Args:
        place: the row, column or line; "" for the whole file.
    """

    def __init__(self, path: str, place: str, problem: str) -> None:
        super().__init__(f"{path}{', ' + place if place else ''}: {problem}")
        self.path, self.place, self.problem = path, place, problem


class NoHistory(FileUnreadable):
    """A file is intact, but holds no training history.

    Args:
        problem: what it is instead.
    """

    def __init__(
        self,
        path: str,
        problem: str = "is JSON, but not a training history; expected one list of numbers per metric, a list of "
        "objects, or one object per line",
        place: str = "",
    ) -> None:
        super().__init__(path, place, problem)


class RunExists(MonitorError, ValueError):
    """A run of this id is already stored, but `resume="never"` was given."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f'run {run_id} exists; pass resume="allow" to continue it, or leave run_id out for a new run')
        self.run_id = run_id


class MlflowRefused(MonitorError, ValueError):
    """MLflow refused a request; retrying would not help.

    Attributes:
        code: MLflow's error code, such as RESOURCE_DOES_NOT_EXIST.
    """

    def __init__(self, server: str, path: str, code: str, problem: str) -> None:
        super().__init__(f"MLflow at {server} refused {path} ({code}): {problem}")
        self.code = code


class StopRefused(MonitorError, ValueError):
    """A stop cannot be requested, or can no longer be withdrawn."""

    def __init__(self, run_id: str, problem: str, fix: str) -> None:
        super().__init__(f"run {run_id}: {problem}; {fix}")
        self.run_id = run_id


class StopTraining(MonitorError):
    """Raised by `should_stop(raise_=True)` to end the loop. A run that ends by it counts as stopped, not failed."""


class RunNotFound(MonitorError, LookupError):
    """No run has this id, unique prefix or name.

    Args:
        deleted: True if the search was among deleted runs.
        several: what is wrong if several runs match, with their ids; "" if none does.
        nearest: names that are similar, with their ids; "" if there are none.
    """

    several = nearest = ""

    def __init__(self, run_id: str, *, deleted: bool = False, several: str = "", nearest: str = "") -> None:
        kind, command = ("deleted run", "deleted") if deleted else ("run", "ls")
        then = f"did you mean {nearest}?" if nearest else f"`monitor runs {command}` lists them"
        super().__init__(f"{kind} {run_id!r}: {several}" if several else f"no {kind} {run_id!r}; {then}")
        self.run_id, self.several, self.nearest = run_id, several, nearest

    def of(self, ref: str, *, deleted: bool = False) -> RunNotFound:
        """The same error about what was asked for, if it does not say so itself."""
        return RunNotFound(self.run_id or ref, deleted=deleted, several=self.several, nearest=self.nearest)


class AlertNotFound(MonitorError, LookupError):
    """No alert, silence or channel has this id or name.

    Args:
        what: alert, silence or channel.
        several: True if more than one begins with it.
    """

    def __init__(self, ref: str, *, what: str = "alert", several: bool = False) -> None:
        listed = {"silence": "silences", "channel": "channels"}.get(what, "ls")
        said = f"several {what}s begin with {ref!r:.80}; give more digits" if several else f"no {what} is {ref!r:.80}"
        super().__init__(said if several else f"{said}; `monitor alerts {listed}` lists them")
        self.ref, self.what, self.several = ref, what, several


class SeriesNotFound(MonitorError, LookupError):
    """The run has no series of this key."""

    def __init__(self, run_id: str, key: str, known: tuple[str, ...] = ()) -> None:
        has = f"; it has {', '.join(known[:12])}" if known else "; it has none yet"
        super().__init__(f"run {run_id} has no series {key!r}{has}")
        self.run_id, self.key = run_id, key


class MediaNotFound(MonitorError, LookupError):
    """The run has no image, table or histogram of this id, or no longer keeps it."""

    def __init__(self, run_id: str, media_id: int) -> None:
        super().__init__(f"run {run_id} has no media {media_id}, or no longer keeps it; `media()` lists what it has")
        self.run_id, self.media_id = run_id, media_id


class TokenNotFound(MonitorError, LookupError):
    """No token has this id or name.

    Args:
        several: True if several tokens have the name.
    """

    def __init__(self, ref: str, *, several: bool = False) -> None:
        problem = f"several tokens are called {ref!r}; give an id" if several else f"no token {ref!r}"
        super().__init__(f"{problem}; `monitor tokens ls` lists them")
        self.ref, self.several = ref, several


class Unauthorized(MonitorError, PermissionError):
    """The server requires a token and got none or an unknown one, or refused for another reason."""

    server: str = "the server"

    def __init__(self, server: str, problem: str | None = None) -> None:
        token = "refused the token; set MONITOR_TOKEN to one that the server knows (`monitor tokens create` makes one)"
        super().__init__(f"{server} {token if problem is None else f'refused: {problem}'}")
        self.server = server


class Forbidden(Unauthorized):
    """The token is known, but its role or its project does not allow this.

    Args:
        problem: what was asked for, and what would be needed.
    """

    def __init__(self, problem: str) -> None:
        super().__init__("the server", problem)
        # In place of the base class's message.
        self.args = (problem,)


class ServerUnreachable(MonitorError, ConnectionError):
    """No server answers at this address, neither a monitor server nor MLflow.

    Attributes:
        cut: how a request that was sent ended: "reset" if the connection broke, "timeout" if no answer came in time; ""
            if there was no connection, or there was an answer.
    """

    cut = ""

    def __init__(
        self,
        server: str,
        problem: str,
        *,
        kind: str = "monitor",
        fix: str = "start one with `monitor up`",
        cut: str = "",
    ) -> None:
        super().__init__(f"no {kind} server answers at {server} ({problem}); {fix}")
        self.server, self.cut = server, cut


class ServerFailed(ServerUnreachable):
    """The server answered 500: it is up, but failed on this request."""

    def __init__(self, server: str, problem: str) -> None:
        super().__init__(server, problem)
        # In place of the base class's message.
        self.args = (f"the server at {server} failed ({problem}); its log says why",)


class DeliveryFailed(MonitorError, ConnectionError):
    """An alert channel did not accept an alert; it stays in the outbox and is retried."""

    def __init__(self, channel: str, problem: str) -> None:
        super().__init__(f"alert channel {channel}: {problem}")
        self.channel, self.problem = channel, problem


class StoreError(MonitorError, RuntimeError):
    """The database refused; the transaction was rolled back."""


class SchemaMismatch(StoreError):
    """The database has a different schema than this version of the code needs."""

    def __init__(self, url: str, *, found: str | None, wanted: str, command: str, missing: bool = False) -> None:
        problem = f"has schema {found or 'none'}, this version needs {wanted}; run `{command}`"
        if missing:
            problem = f"does not exist; name another, or create it with `{command}`"
        super().__init__(f"database {url} {problem}")
        self.found, self.wanted = found, wanted


class StoreBusy(StoreError):
    """Another writer held the database longer than the busy timeout, or all connections were in use; try again."""

    def __init__(self, url: str, waited_s: float, problem: str = "was locked by another writer") -> None:
        super().__init__(f"database {url} {problem} for {waited_s:g} s; try again")


def suggestion(word: object, known: Iterable[object], otherwise: str | None = None) -> str:
    """How to mend an unknown word: the nearest of those known, else all of them.

    Args:
        otherwise: what to say instead if none is near.

    >>> suggestion("advize", ("off", "advise")), suggestion("x", ("off", "advise"))
    ("did you mean 'advise'?", 'known: off, advise')
    """
    import difflib  # here, because a training process never needs it

    names = [str(name) for name in known]
    near = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)  # "l1" for "l2"
    rest = f"known: {', '.join(names)}" if otherwise is None else otherwise
    return f"did you mean {near[0]!r}?" if near else rest


def _short(text: str, most: int = 400) -> str:
    """A quoted text, cut in the middle if it is long, so that an error fits on a screen."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"
