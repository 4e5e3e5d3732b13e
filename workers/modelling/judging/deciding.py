"""Decide whether a new version of the parameters becomes active."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from workers.estimation.parameters import Parameters
from workers.modelling.calibration.ceilings import LOWEST
from workers.modelling.judging.comparing import JUDGED_SHARE, Comparison
from workers.modelling.judging.reach import IN_A_ROW, out_of_reach
from workers.modelling.judging.validity import MASTERED

LEAST_GAIN: Final = 0.002
"""Gain in nats that is worth a replay of all learners if no item or concept is new."""
MOST_LOSS: Final = 0.005
"""Loss in nats that is accepted if only the new version's mastery is within reach."""


@dataclass(frozen=True)
class Decision:
    """Decision of the rule `if-better`.

    Args:
        activate: True to activate the new version.
        reason: one clause; it names no concept, which may belong to another tenant.
    """

    activate: bool
    reason: str

    @property
    def sentence(self) -> str:
        """Decision and reason, for a person."""
        return f"{'' if self.activate else 'not '}to be activated: {self.reason}"

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Decision":
        """Read the result of `document`."""
        return cls(document["activate"], document["reason"])

    def document(self) -> dict[str, Any]:
        """Write as JSON."""
        return asdict(self)


def judge(comparison: Comparison, new: Parameters, present: Parameters) -> Decision:
    """Decide by the rule `if-better`.

    Args:
        comparison: both versions on held-out learners.
        new: the fitted parameters.
        present: the parameters that they were compared with.
    """
    return decide(
        comparison,
        unreachable=len(out_of_reach(new)),
        concepts=len(new.concepts),
        present_reachable=not out_of_reach(present),
        all_known=new.concepts.keys() <= present.concepts.keys()
        and new.items.keys() <= present.items.keys(),
    )


def decide(
    comparison: Comparison,
    *,
    unreachable: int,
    concepts: int,
    present_reachable: bool,
    all_known: bool,
) -> Decision:
    """Decide by the first rule that applies.

    1. A version with mastery out of reach is not activated.
    2. If the present version's mastery is out of reach, the new one is activated unless it loses
       more than `MOST_LOSS`.
    3. A version whose mastery is less valid with 95 % confidence is not activated.
    4. A version that does not predict better with 95 % confidence is not activated.
    5. A version that gains less than `LEAST_GAIN` is not activated if the present version has
       parameters for all its concepts and items.

    Args:
        comparison: both versions on at least two held-out learners.
        unreachable: number of concepts with mastery out of reach in the new version; those without
            own parameters count as one.
        concepts: number of concepts with own parameters in the new version.
        present_reachable: True if the present version's mastery is within reach on all concepts.
        all_known: True if the present version has parameters for each concept and item of the new
            one.
    """
    if unreachable:
        return Decision(
            False,
            f"mastery is out of reach on {unreachable:,} of {concepts + 1:,} concepts (concepts "
            f"without parameters of their own count as one): {IN_A_ROW} right answers in a row do "
            f"not reach {MASTERED}, or it cannot stay at {LOWEST} after an answer",
        )
    if not present_reachable:
        return _for_reach(comparison)
    against = _against(comparison, all_known=all_known)
    if against is not None:
        return Decision(False, against)
    return Decision(
        True,
        f"{_change(comparison)}, and mastery is within reach on all concepts and not clearly less "
        "valid than under the active version",
    )


def _for_reach(comparison: Comparison) -> Decision:
    change = _change(comparison)
    within = "mastery is within reach on all concepts, and is not under the active version"
    if comparison.gain < -MOST_LOSS:
        return Decision(False, f"{within}, but {change}, more than {MOST_LOSS} nats")
    return Decision(True, f"{within}; {change}")


def _against(comparison: Comparison, *, all_known: bool) -> str | None:
    """Say why not to activate a version, if mastery of both is within reach."""
    if comparison.less_valid:
        return (
            "mastery is less valid than under the active version: where each declares "
            f"{JUDGED_SHARE:.0%} of the learner-concept pairs mastered, the share right afterwards "
            f"is lower by {-comparison.validity_gain:.4f} ± {comparison.validity_error:.4f}"
        )
    if not comparison.better:
        return f"{_change(comparison)}; it is not lower with 95 % confidence"
    if all_known and comparison.gain < LEAST_GAIN:
        return (
            f"{_change(comparison)}, less than {LEAST_GAIN} nats, and the active version knows all "
            "concepts and items already"
        )
    return None


def _change(comparison: Comparison) -> str:
    return (
        f"the log loss of {comparison.learners:,} held-out learners is "
        f"{'lower' if comparison.gain >= 0.0 else 'higher'} by {abs(comparison.gain):.4f} "
        f"± {comparison.standard_error:.4f}"
    )
