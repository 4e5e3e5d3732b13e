"""Every error of the engine, and what each means for the event in hand.

MasteryError
 ├── Unavailable            retried: a server is away; intake pauses, no event is at fault
 │    ├── RedisUnavailable
 │    ├── LedgerUnavailable
 │    ├── GraphUnavailable
 │    └── KeysUnavailable
 ├── KeyUnknown             waits: a newer key set has to decide; no event is at fault
 ├── Refused                rejected: this event only, whole, to the dead letters
 ├── Unstorable             retried one by one: something in a batch can't be stored
 └── Fatal                  the worker stops: a person has to act
      ├── SettingsError
      ├── LedgerRefused     the database answers, but not as the migrations promise
      ├── ParametersRefused  a version of parameters is not there, or can't be read
      │    └── ParametersOutdated  it was fitted under older formulas of the engine
      ├── GraphRefused      the graph answers, but refuses our statements
      ├── StreamRefused     Redis answers, but a key or command is not what it must be
      ├── MigrationError
      ├── StillThere        something of an erased learner came back again and again
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


class GraphUnavailable(Unavailable):
    """The graph can't be reached."""

    def __init__(self, reason: str) -> None:
        super().__init__("graph", reason)


class KeysUnavailable(Unavailable):
    """The issuer's key set can't be fetched, or what is fetched holds no key to verify with."""

    def __init__(self, reason: str) -> None:
        super().__init__("keys", reason)


class KeyUnknown(MasteryError):
    """The key of a token is not among those known, and a key set fetched since has to decide."""

    def __init__(self) -> None:
        super().__init__("the key of the token is not known yet")


class Refused(MasteryError):
    """The event is refused, and the same event would be refused again.

    Args:
        code: the rejection's code.
        reason: a sentence naming field, value and remedy; never a token.
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
    """Nothing will get better by itself: the process ends with this message."""


class SettingsError(Fatal):
    """Settings are missing, malformed or contradict each other."""


class LedgerRefused(Fatal):
    """The database refuses what the migrations promise: schema, grants or key are not ours."""


class ParametersRefused(Fatal):
    """A version of parameters is not there, was altered, or is more than this engine can read."""


class ParametersOutdated(ParametersRefused):
    """A version of parameters was fitted under older formulas than those of this engine."""


class GraphRefused(Fatal):
    """The graph refuses a statement: credentials, constraints or version are not as needed."""


class StreamRefused(Fatal):
    """Redis refuses a command: wrong type of a key, no permission, or a command it lacks."""


class MigrationError(Fatal):
    """A migration can't be applied or taken back."""


class StillThere(Fatal):
    """Something of a learner that is erased came back at each look."""


class CalibrationFailed(Fatal):
    """Parameters can't be fitted: there is no answer, or a process that fits was ended."""


class InputFileError(Fatal):
    """A file named on the command line can't be read as what it should be."""
