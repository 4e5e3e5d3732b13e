"""Fit knowledge tracing to simulated answers, against the Cramér-Rao bound and pyBKT.

Run: ``OMP_NUM_THREADS=1 uv run python -m bench.recovery [FILE.csv.gz] [--pybkt PYTHON]``.

Recovery: 8 concepts, 500 learners on each with 12 answers (48,000 rows), parameters drawn once,
answers from ten seeds, fitted without priors. The bound is the inverse of the observed information
at the truth, by differences of a likelihood computed independently here. `RMSE / bound` is over all
concepts and seeds; 1.00 is the best that an unbiased estimate can reach.

Files (columns student, concept, correct, order): log likelihood of each concept at the own and at
other estimates, all computed here from the parameters. The others are pyBKT's own EM from random
starts, repeated here in arrays, and, with PYTHON, pyBKT itself, one fit per concept and seed;
without its C++ extension it processes about 400 rows/s per seed. PYTHON is an interpreter with
pyBKT: ``uv venv V && uv pip install -p V pyBKT==1.4.3 'scikit-learn<1.5' 'numpy<2'``.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workers.modelling.calibration.bkt.fit import BetaPriors, fit_bkt
from workers.modelling.calibration.table import NEVER, Table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CONCEPTS, LEARNERS, ANSWERS, SEEDS = 8, 500, 12, range(10)
NAMES = ("prior", "learn", "guess", "slip")
_STEP = 1e-4

_PYBKT = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np
import pandas as pd
from pyBKT.models import Model
rows = pd.read_csv(sys.argv[1])
rows = rows.rename(columns={"student": "user_id", "order": "order_id", "concept": "skill_name"})
rows["skill_name"] = rows.skill_name.astype(str)
parts = sorted(rows.groupby("skill_name"), key=lambda one: len(one[1]))
for seed in range(int(sys.argv[3])):
    for name, part in parts:
        model = Model(seed=seed, num_fits=1, parallel=False)
        try:
            model.fit(data=part)
        except Exception as error:
            print(name, repr(error), file=sys.stderr)
            continue
        (fitted,) = model.coef_.values()
        found = [float(np.ravel(fitted[k])[0]) for k in ("prior", "learns", "guesses", "slips")]
        with open(sys.argv[2], "a") as file:
            file.write(json.dumps([name, seed, found]) + "\\n")
"""


def table_of_rows(learner: Ints, concept: Ints, score: Floats) -> Table:
    """Build a table of rows in each learner's own order; each concept is its own item."""
    names = [str(c) for c in range(int(concept.max()) + 1)]
    count = np.bincount(learner)
    place = np.empty(count.size, dtype=np.int64)
    place[np.argsort(-count, kind="stable")] = np.arange(count.size)
    by_learner = np.argsort(learner, kind="stable")
    begins = np.cumsum(count) - count
    number = np.empty(learner.size, dtype=np.int64)
    number[by_learner] = np.arange(learner.size) - begins[learner[by_learner]]
    order = np.lexsort((place[learner], number))
    step = np.concatenate([[0], np.cumsum(np.bincount(number))])
    answered_at_us = number[order]
    return Table(
        names,
        names,
        place[learner[order]],
        concept[order],
        score[order],
        step,
        np.arange(learner.size),
        concept[order],
        answered_at_us,
        np.where(answered_at_us > 0, answered_at_us - 1, NEVER),
    )


def log_likelihood(sequences: Floats, parameters: Sequence[float]) -> float:
    """Compute the log likelihood of one concept's answers by the forward algorithm.

    Answers have the shape (learners, answers), NaN after the last.
    """
    prior, learn, guess, slip = parameters
    known = np.full(sequences.shape[0], prior)
    total = 0.0
    for score in sequences.T:
        here = ~np.isnan(score)
        right = known * (1.0 - slip) + (1.0 - known) * guess
        chance = np.where(score == 1.0, right, 1.0 - right)
        with np.errstate(divide="ignore"):
            total += float(np.log(chance[here]).sum())
        of_known = np.where(score == 1.0, 1.0 - slip, slip)
        with np.errstate(invalid="ignore"):
            posterior = known * of_known / chance
        known = np.where(here, posterior + (1.0 - posterior) * learn, known)
    return total


def bound(sequences: Floats, truth: Floats) -> Floats:
    """Compute the least variance of an unbiased estimate of each parameter."""
    n = truth.size
    hessian = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            value = 0.0
            for sign in (1, -1):
                for other_sign in (1, -1):
                    moved = truth.copy()
                    moved[i] += sign * _STEP
                    moved[j] += other_sign * _STEP
                    value += sign * other_sign * log_likelihood(sequences, moved.tolist())
            hessian[i, j] = value / (4.0 * _STEP * _STEP)
    return np.asarray(np.diag(np.linalg.inv(-hessian)))


def simulated(truth: Floats, seed: int) -> Floats:
    """Draw answers, shape (concepts, learners, answers)."""
    draw = np.random.default_rng(seed)
    prior, learn, guess, slip = (column[:, None] for column in truth)
    known = draw.random((CONCEPTS, LEARNERS)) < prior
    scores = np.empty((CONCEPTS, LEARNERS, ANSWERS))
    for k in range(ANSWERS):
        scores[:, :, k] = draw.random(known.shape) < np.where(known, 1.0 - slip, guess)
        known |= draw.random(known.shape) < learn
    return scores


def recovery() -> None:
    draw = np.random.default_rng(42)
    truth = draw.uniform(
        [[0.2], [0.08], [0.1], [0.05]], [[0.6], [0.3], [0.25], [0.15]], (4, CONCEPTS)
    )
    errors, bounds, seconds, rows = [], [], 0.0, 0
    for seed in SEEDS:
        answers = simulated(truth, seed)
        learner = np.repeat(np.tile(np.arange(LEARNERS), CONCEPTS), ANSWERS)
        concept = np.repeat(np.arange(CONCEPTS), LEARNERS * ANSWERS)
        table = table_of_rows(learner, concept, answers.ravel())
        begin = time.process_time()
        fitted = fit_bkt(table, forgets=False, priors=BetaPriors(), restarts=5).parameters[:4]
        seconds += time.process_time() - begin
        rows += learner.size
        errors.append(fitted - truth)
        bounds.append(np.array([bound(a, t) for a, t in zip(answers, truth.T, strict=True)]).T)
    squares, least = np.array(errors) ** 2, np.array(bounds)
    print(f"{CONCEPTS} concepts, {rows // len(SEEDS):,} rows, {len(SEEDS)} seeds")
    by_name = zip(NAMES, squares.swapaxes(0, 1), least.swapaxes(0, 1), strict=True)
    for name, square, variance in by_name:
        rmse, limit = np.sqrt(square.mean()), np.sqrt(variance.mean())
        print(f"  {name:6} RMSE {rmse:.4f}  bound {limit:.4f}  ratio {rmse / limit:.3f}")
    print(f"  all    RMSE / bound, each in its own units: {np.sqrt((squares / least).mean()):.3f}")
    print(f"  all    RMSE / bound, plain: {np.sqrt(squares.mean() / least.mean()):.3f}")
    print(f"  {rows / seconds:,.0f} rows/s of a fit with 5 restarts, one core")


def beside(path: Path, found_by_pybkt: Sequence[Path]) -> None:
    """Fit a file's concepts, and compare with pyBKT if it is given."""
    raw = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8")
    order = np.lexsort((raw["order"], raw["student"]))
    names, concept = np.unique(raw["concept"][order].astype(str), return_inverse=True)
    learner = np.unique(raw["student"][order], return_inverse=True)[1]
    score = raw["correct"][order].astype(np.float64)
    table = table_of_rows(learner, concept, score)
    begin = time.process_time()
    fitted = fit_bkt(table, forgets=False, priors=BetaPriors(), restarts=5)
    seconds = time.process_time() - begin
    print(
        f"\n{path.name}: {score.size:,} rows, {names.size} concepts, "
        f"{score.size / seconds:,.0f} rows/s"
    )
    by_concept = [padded(learner[concept == k], score[concept == k]) for k in range(names.size)]
    mine = np.array(
        [
            log_likelihood(rows, fitted.parameters[:4, k].tolist())
            for k, rows in enumerate(by_concept)
        ]
    )
    others = {
        f"EM as pyBKT's, start {seed}": plain_em(concept, learner, score, seed) for seed in range(5)
    }
    for title, of_pybkt in pybkt(found_by_pybkt).items():
        others[title] = np.array([of_pybkt.get(n, [np.nan] * 4) for n in names.tolist()]).T
    for title, parameters in others.items():
        lower, compared = [], 0
        for k, rows in enumerate(by_concept):
            if not parameters[2, k] + parameters[3, k] < 1.0:
                continue
            compared += 1
            apart = mine[k] - log_likelihood(rows, parameters[:, k].tolist())
            if not apart >= -1e-6:
                lower.append(f"{names[k]} by {-apart:.6f}")
        print(
            f"  {title}: {compared} concepts with guess + slip below 1, "
            f"ours is lower on {len(lower)} {', '.join(lower)}"
        )


def plain_em(concept: Ints, learner: Ints, score: Floats, seed: int) -> Floats:
    """Run EM as pyBKT does: its random starts, its stop (0.005 nats or 100 rounds), no priors.

    It runs in arrays, since pyBKT without its C++ extension takes minutes for a few hundred rows.
    """
    count = int(concept.max()) + 1
    inverse = np.unique(learner * count + concept, return_inverse=True)[1]
    length = np.bincount(inverse)
    chain = np.argsort(np.argsort(-length, kind="stable"), kind="stable")[inverse]
    by_chain = np.argsort(chain, kind="stable")
    number = np.empty(inverse.size, dtype=np.int64)
    begins = np.cumsum(np.sort(length)[::-1]) - np.sort(length)[::-1]
    number[by_chain] = np.arange(inverse.size) - begins[chain[by_chain]]
    order = np.lexsort((chain, number))
    c, right = concept[order], score[order] == 1.0
    step = np.concatenate([[0], np.cumsum(np.bincount(number))]).tolist()
    draw = np.random.default_rng(seed)
    here = draw.random((4, count)) * [[1.0], [0.4], [0.4], [0.3]]
    kept, last = here.copy(), np.full(count, np.inf)
    running = np.ones(count, dtype=np.bool_)
    for _ in range(100):
        prior, learn, guess, slip = here
        known = np.where(right, 1.0 - slip[c], slip[c])
        unknown = np.where(right, guess[c], 1.0 - guess[c])
        t = learn[c]
        after, chance = np.empty(c.size), np.empty(c.size)
        p = prior[c[: step[1]]]
        for a, b in pairwise(step):
            p = p[: b - a]
            up = p * known[a:b]
            chance[a:b] = up + (1.0 - p) * unknown[a:b]
            after[a:b] = up / chance[a:b]
            p = after[a:b] + (1.0 - after[a:b]) * t[a:b]
        value = np.bincount(c, np.log(chance), count)
        kept = np.where(running, here, kept)
        running &= np.abs(value - last) > 0.005
        last = value
        if not running.any():
            break
        at_known, learned, stayed = np.ones(c.size), np.zeros(c.size), np.zeros(c.size)
        at_known[:] = after
        known_after = zero = np.empty(0)
        for a, b in zip(step[-2::-1], step[:0:-1], strict=True):
            n, q, f = known_after.size, after[a:b], t[a:b]
            of_known, of_unknown = np.ones(b - a), np.ones(b - a)
            of_known[:n] = known_after
            of_unknown[:n] = f[:n] * known_after + (1.0 - f[:n]) * zero
            learned[a : a + n] = (1.0 - q[:n]) * f[:n] * known_after
            stayed[a : a + n] = (1.0 - q[:n]) * (1.0 - f[:n]) * zero
            at_known[a:b] = q * of_known
            known_after, zero = (
                known[a:b] * of_known / chance[a:b],
                unknown[a:b] * of_unknown / chance[a:b],
            )

        def sums(values: Floats) -> Floats:
            return np.bincount(c, values, count).astype(np.float64)

        def share(part: Floats, rest: Floats, otherwise: Floats) -> Floats:
            total = part + rest
            return np.where(total > 0.0, part / np.where(total > 0.0, total, 1.0), otherwise)

        first = slice(0, step[1])
        begun = np.bincount(c[first], at_known[first], count)
        here = np.array(
            [
                begun / np.bincount(c[first], minlength=count),
                share(sums(learned), sums(stayed), learn),
                share(sums((1.0 - at_known) * right), sums((1.0 - at_known) * ~right), guess),
                share(sums(at_known * ~right), sums(at_known * right), slip),
            ]
        )
    return np.where(running, here, kept)


def padded(learner: Ints, score: Floats) -> Floats:
    """Return one row per learner, NaN after the last answer."""
    learners, count = np.unique(learner, return_counts=True)
    table = np.full((learners.size, int(count.max())), np.nan)
    row = np.searchsorted(learners, learner)
    by_row = np.argsort(row, kind="stable")
    begins = np.cumsum(count) - count
    table[row[by_row], np.arange(row.size) - begins[row[by_row]]] = score[by_row]
    return table


def run_pybkt(path: Path, python: str, put: Path, seeds: int) -> None:
    """Fit each concept with pyBKT from a random start per seed; one line each."""
    subprocess.run([python, "-c", _PYBKT, str(path), str(put), str(seeds)], check=True)


def pybkt(files: Sequence[Path]) -> dict[str, dict[str, list[float]]]:
    """Read the parameters that pyBKT fitted, by concept, for each seed."""
    by_seed: dict[int, dict[str, list[float]]] = {}
    for file in files:
        for line in file.read_text().splitlines():
            name, seed, parameters, *_ = json.loads(line)
            by_seed.setdefault(seed, {})[name] = parameters
    return {f"pyBKT, seed {seed}": by_seed[seed] for seed in sorted(by_seed)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--pybkt", help="interpreter that has pyBKT")
    parser.add_argument("--seeds", type=int, default=5, help="random starts of pyBKT")
    parser.add_argument(
        "--found", nargs="+", type=Path, default=[], help="what pyBKT found in earlier runs"
    )
    given = parser.parse_args()
    recovery()
    if given.file is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        files = list(given.found)
        if given.pybkt is not None:
            files.append(Path(folder) / "found.jsonl")
            run_pybkt(given.file, given.pybkt, files[-1], given.seeds)
        beside(given.file, files)


if __name__ == "__main__":
    main()
