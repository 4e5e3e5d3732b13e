"""Item characteristic curves: log probabilities of the steps, and their derivatives.

Sources: Birnbaum (1968) in Lord & Novick, "Statistical theories of mental test scores", chapter 17
(1PL to 3PL); Barton & Lord (1981), ETS research report 81-20 (4PL); Samejima (1969), Psychometrika
monograph 17 (graded response); Muraki (1992), Applied Psychological Measurement 16, 159-176
(generalised partial credit).
"""

import numpy as np
from scipy.special import expit, log_expit, log_softmax

from workers.modelling.calibration.irt.response_data import Floats

_SMALLEST = 1e-300


def log_curves(model: str, steps: int, parameters: Floats, theta: Floats) -> Floats:
    """Compute the log probability of each step, shape (n, steps + 1, abilities).

    Args:
        model: one of `workers.modelling.calibration.irt.bank.MODELS`.
        steps: number of thresholds of each item.
        parameters: see `workers.modelling.calibration.irt.bank.Group`.
        theta: abilities, logits.
    """
    a, d = parameters[:, 0], parameters[:, 1 : 1 + steps]
    x = a[:, None, None] * theta + d[:, :, None]
    if model == "graded":
        return _log_graded(x)
    if model == "partial_credit":
        sums = np.concatenate([np.zeros_like(x[:, :1]), np.cumsum(x, axis=1)], axis=1)
        return np.asarray(log_softmax(sums, axis=1), dtype=np.float64)
    logs = np.empty((x.shape[0], 2, x.shape[-1]))
    down, up = logs[:, 0], logs[:, 1]
    # One exponential and few logarithms, since a fit spends most of its time here. The absolute
    # error is a rounding error of 1, which is enough for sums of logarithms.
    x = x[:, 0]
    tail = np.exp(-np.abs(x))
    if model in {"3PL", "4PL"}:
        lower, slip = (column[:, None] for column in _asymptotes(model, parameters))
        more = 1.0 / (1.0 + tail)
        less = tail * more
        above = x >= 0.0
        span = 1.0 - (lower + slip)
        right = lower + span * np.where(above, more, less)
        wrong = slip + span * np.where(above, less, more)
        np.log(np.maximum(right, _SMALLEST, out=right), out=up)
        np.log(np.maximum(wrong, _SMALLEST, out=wrong), out=down)
    else:
        tail += 1.0
        np.log(tail, out=tail)
        np.minimum(x, 0.0, out=up)
        up -= tail
        np.subtract(up, x, out=down)
    return logs


def derivatives(model: str, steps: int, parameters: Floats, theta: Floats, logs: Floats) -> Floats:
    """Differentiate `log_curves` by each parameter, shape (n, parameters, steps + 1, abilities).

    Args:
        model: see `log_curves`.
        steps: see `log_curves`.
        parameters: see `log_curves`.
        theta: see `log_curves`.
        logs: result of `log_curves`.
    """
    a, d = parameters[:, 0], parameters[:, 1 : 1 + steps]
    x = a[:, None, None] * theta + d[:, :, None]
    slopes = np.zeros((parameters.shape[0], parameters.shape[1], steps + 1, theta.size))
    if model == "graded":
        # A threshold's density moves from the step below it to the step above it.
        density = np.exp(log_expit(x) + log_expit(-x))
        chance = np.exp(np.maximum(logs, -700.0))
        for k in range(steps):
            slopes[:, 1 + k, k] -= density[:, k] / chance[:, k]
            slopes[:, 1 + k, k + 1] += density[:, k] / chance[:, k + 1]
        slopes[:, 0] = theta * slopes[:, 1 : 1 + steps].sum(axis=1)
    elif model == "partial_credit":
        chance = np.exp(logs)
        at_least = np.cumsum(chance[:, ::-1], axis=1)[:, ::-1]
        reached = np.tri(steps + 1, steps, -1)
        for k in range(steps):
            slopes[:, 1 + k] = reached[:, k, None] - at_least[:, None, k + 1]
        slopes[:, 0] = theta * slopes[:, 1 : 1 + steps].sum(axis=1)
    else:
        up, down = expit(x[:, 0]), expit(-x[:, 0])
        if model in {"3PL", "4PL"}:
            lower, slip = (column[:, None] for column in _asymptotes(model, parameters))
            right, wrong = np.exp(logs[:, 1]), np.exp(logs[:, 0])
            slope = (1.0 - lower - slip) * up * down
            slopes[:, 1, 1], slopes[:, 1, 0] = slope / right, -slope / wrong
            gain = lower * (1.0 - lower) * down
            slopes[:, 2, 1], slopes[:, 2, 0] = gain / right, -gain / wrong
            if model == "4PL":
                loss = slip * (1.0 - slip) * up
                slopes[:, 3, 1], slopes[:, 3, 0] = -loss / right, loss / wrong
        else:
            slopes[:, 1, 1], slopes[:, 1, 0] = down, -up
        slopes[:, 0] = theta * slopes[:, 1]
    return slopes


def _log_graded(x: Floats) -> Floats:
    """Compute log(P(at least k) - P(at least k + 1)) without cancellation.

    It is NaN where thresholds do not rise.
    """
    first, last = log_expit(-x[:, :1]), log_expit(x[:, -1:])
    with np.errstate(invalid="ignore", divide="ignore"):
        between = log_expit(x[:, :-1]) + log_expit(-x[:, 1:]) + np.log(-np.expm1(-_gaps(x)))
    return np.concatenate([first, between, last], axis=1)


def _gaps(x: Floats) -> Floats:
    return x[:, :-1] - x[:, 1:]


def _asymptotes(model: str, parameters: Floats) -> tuple[Floats, Floats]:
    """Return the lower asymptote and 1 - upper asymptote of each item."""
    lower = expit(parameters[:, 2])
    return lower, expit(parameters[:, 3]) if model == "4PL" else np.zeros_like(lower)
