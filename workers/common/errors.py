"""All errors of the engine, with their effect on the event at hand.

MasteryError
 ├── Unavailable            retried: a server is away; intake pauses, no event is at fault
 │    ├── RedisUnavailable
 │    ├── LedgerUnavailable
 │    │    └── LedgerTooSlow  the statement took too long: ask for less
 │    ├── GraphUnavailable
 │    │    └── GraphTooSlow   the transaction took too long or too much memory: merge less
 │    ├── KeysUnavailable
 │    └── ClocksDiffer       Redis's clock and this worker's are too far apart
 ├── KeyUnknown             waits: a newer key set has to decide; no event is at fault
 ├── Refused                rejected: this event only, whole, to the dead letters
 ├── Unstorable             retried one by one: something in a batch can't be stored
 └── Fatal                  the worker stops: a person has to act
      ├── SettingsError
      ├── LedgerRefused     the database answers, but not as the migrations promise
      ├── ParametersRefused  a version of the parameters does not exist or can't be read
      │    └── ParametersOutdated  fitted under older formulas of the engine
      ├── GraphRefused      the graph answers, but refuses our statements
      ├── StreamRefused     Redis answers, but a key or command is not what it must be
      ├── MigrationError
      ├── StillThere        data of an erased learner came back again and again
      ├── CalibrationFailed  parameters can't be fitted
      └── InputFileError    a file given on the command line
Any other exception is unexpected: the entries of its batch are retried one by one, and one that
fails `MAX_DELIVERIES` times alone is rejected as ``poison``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The command line imports this module to print its help: no pydantic for that.
    from contracts.rejections import RejectionCode


class MasteryError(Exception):
    """Base of all errors of the engine."""


class Unavailable(MasteryError):
    """A server can't be reached or is too busy: wait and try again; the work is idempotent."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"{server} is unavailable: {reason}")
        self.server = server
        self.reason = reason


class RedisUnavailable(Unavailable):
    """Redis can't be reached."""

    def __init__(self, reason: str) -> None:
        super().__init__("redis", reason)


class LedgerUnavailable(Unavailable):
    """The ledger's database, or the REST layer before it, can't be reached."""

    def __init__(self, reason: str) -> None:
        super().__init__("ledger", reason)


class LedgerTooSlow(LedgerUnavailable):
    """The database cancelled a statement that took too long: ask for less at once."""


class GraphUnavailable(Unavailable):
    """The graph can't be reached."""

    def __init__(self, reason: str) -> None:
        super().__init__("graph", reason)


class GraphTooSlow(GraphUnavailable):
    """The graph ended a transaction that took too long or too much memory: merge less at once."""


class KeysUnavailable(Unavailable):
    """The issuer's key set can't be fetched, or holds no key to verify with."""

    def __init__(self, reason: str) -> None:
        super().__init__("keys", reason)


class ClocksDiffer(Unavailable):
    """Redis's clock and this worker's differ so much that nothing is judged by either."""

    def __init__(self, reason: str) -> None:
        super().__init__("clock", reason)


class KeyUnknown(MasteryError):
    """The key of a token is unknown, and a newer key set has to decide."""

    def __init__(self) -> None:
        super().__init__("the key of the token is not known yet")


class Refused(MasteryError):
    """The event is refused; the same event would be refused again.

    Args:
        code: the rejection's code.
        reason: a sentence that names field, value and remedy, but never a token.
        field: the path of the field that is wrong, such as ``data.response.item_id``.
    """

    def __init__(self, code: "RejectionCode", reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.field = field


class Unstorable(MasteryError):
    """The database refuses the data of a batch; its entries are tried one by one."""


class Fatal(MasteryError):
    """Waiting does not help: the process ends with this message."""


class SettingsError(Fatal):
    """Settings are missing, malformed or contradictory."""


class LedgerRefused(Fatal):
    """The database refuses a call: its schema, grants or key are not those of this version."""


class ParametersRefused(Fatal):
    """A version of the parameters does not exist, was altered, or can't be read by this engine."""


class ParametersOutdated(ParametersRefused):
    """A version of the parameters was fitted under older formulas than this engine's."""


class GraphRefused(Fatal):
    """The graph refuses a statement: credentials, constraints or version are not as needed."""


class StreamRefused(Fatal):
    """Redis refuses a command: wrong type of a key, no permission, or a command it lacks."""


class MigrationError(Fatal):
    """A migration can't be applied or taken back."""


class StillThere(Fatal):
    """Data of an erased learner came back again and again."""


class CalibrationFailed(Fatal):
    """Parameters can't be fitted: there are no answers, or a fitting process was ended."""


class InputFileError(Fatal):
    """A file named on the command line can't be read, or is not of the expected kind."""
