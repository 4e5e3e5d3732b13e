"""What draws the numbers of concepts together, the harder the nearer concepts lie to each other."""

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
from scipy.special import digamma, polygamma

from workers.calibration.table import Floats

UNKNOWN, GAP, WEIGHT, PRIOR = range(4)
"""Places of the numbers that are drawn to their mean."""
USUAL: Final = (-0.7, 1.4, 1.0, 0.0)
"""What these are where nothing is known."""
USUAL_LEARN: Final = 0.08
USUAL_FORGET: Final = 0.02
TRANSITIONS: Final = 20.0
"""As many transitions at the common rate are added to those of a concept, and as many at the usual
rate to those of all."""
_LOOSEST: Final = np.array([4.0, 4.0, 20.0, 2.0])
_TIGHTEST: Final = 400.0
IMAGINED: Final = 1.0
"""Concepts as far from the mean as is usual that are added to those seen."""


@dataclass(frozen=True)
class Draw:
    """Normal priors of concepts around the mean of all and of one more that is as usual.

    Args:
        precision: of unknown, gap, weight and prior around their means, shape (4,).
        transitions: imagined at the common rate.
    """

    precision: Floats = field(default_factory=lambda: _LOOSEST)
    transitions: float = TRANSITIONS

    @staticmethod
    def centre(what: int, own: Floats) -> float:
        """The mean to which one of the numbers is drawn.

        Args:
            what: which.
            own: of each concept.
        """
        return float((own.sum() + USUAL[what]) / (own.size + 1.0))

    def pull(self, what: int, own: Floats) -> Floats:
        """Derivative of the prior's log density by one of the numbers, of each concept."""
        pull: Floats = self.precision[what] * (self.centre(what, own) - own)
        return pull

    def looked_at(self, own: Floats, variance: Floats) -> "Draw":
        """With the precisions that concepts so far apart, each so well known, have.

        One more concept counts that lies as far off as is usual: of few concepts that happen to lie
        near each other it would else be held that all do (Chung, Rabe-Hesketh, Dorie, Gelman & Liu,
        2013, Psychometrika 78, 685-709).

        Empirical Bayes: Dempster, Laird & Rubin (1977), Journal of the Royal Statistical Society B
        39, 1-38, section 4.5.

        Args:
            own: unknown, gap, weight and prior of each concept, shape (4, concepts).
            variance: of the same after the answers, the hidden states unseen.
        """
        centre = np.array([[self.centre(what, each)] for what, each in enumerate(own)])
        apart = ((own - centre) ** 2 + variance).sum(axis=1) + IMAGINED / _LOOSEST
        precision = (own.shape[1] + IMAGINED) / apart
        return replace(self, precision=np.clip(precision, _LOOSEST, _TIGHTEST))


class Looser(NamedTuple):
    """A prior whose precisions are not known, only told by some concepts."""

    draw: Draw
    """With the precisions that their logarithms have on average."""
    of_log: Floats
    """Mean square of how far these logarithms are from where the mode has them and from there on,
    in steps of the precisions of `draw`; of unknown, gap, weight and prior, shape (4,)."""


def looser(draw: Draw, variance: Floats) -> Looser:
    """The prior as it is held to be once its precisions are uncertain.

    A precision that some squares tell has a gamma distribution, and most of that lies below the
    likeliest one, which moreover takes the mean of concepts as known: the fewer they are, the more.

    Source: Morris (1983), "Parametric empirical Bayes inference: theory and applications", Journal
    of the American Statistical Association 78, 47-55: intervals of the likeliest prior are too
    short. Moments of the logarithm of a gamma variable: Johnson, Kotz & Balakrishnan (1994),
    "Continuous univariate distributions" 1, section 17.8.

    Args:
        draw: with the likeliest precisions (`Draw.looked_at`).
        variance: of unknown, gap, weight and prior of each concept, shape (4, concepts).
    """
    told = np.clip(1.0 - draw.precision[:, None] * variance, 0.0, 1.0) ** 2
    # The mean that all are drawn to takes away as much as one of them tells.
    squares = told.sum(axis=1) - told.mean(axis=1) + IMAGINED
    shift = digamma(squares / 2.0) - np.log((squares + told.mean(axis=1)) / 2.0)
    precision = np.maximum(draw.precision * np.exp(shift), _LOOSEST)
    further = draw.precision / precision - 1.0
    return Looser(replace(draw, precision=precision), polygamma(1, squares / 2.0) + further**2)


def common_rate(events: Floats, chances: Floats, usual: float) -> float:
    """How often something happens over all concepts: events among chances, of each concept."""
    return float((events.sum() + TRANSITIONS * usual) / (chances.sum() + TRANSITIONS))
