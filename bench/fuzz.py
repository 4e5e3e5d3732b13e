"""Send fuzzed entries and tokens through the real admission in verify mode: none may be admitted.

    uv run python -m bench.fuzz                          # 1,000,000 of them, from seed 1
    uv run python -m bench.fuzz --entries 50000 --seed 7

No entry may raise, be admitted or be deferred. After every thousand a good entry must be admitted,
which detects an admission that rejects everything.
"""

import argparse
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.security.fuzzing import KINDS, NOW_S, Material, entry, written
from workers.admission.verdicts import Admitted, Rejection

_BETWEEN_GOOD = 1_000


@dataclass
class Outcome:
    """Verdicts over the entries."""

    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Counts by kind and code."""
    wrong: list[str] = field(default_factory=list)
    """Examples that were admitted, raised or waited; ten at most."""
    good: int = 0
    """Good entries that were admitted in between."""


def fuzz(entries: int, seed: int) -> Outcome:
    """Judge a number of fuzzed entries, each kind in turn."""
    material, chance, outcome = Material(), random.Random(seed), Outcome()
    admission = material.admission()
    kinds = [*KINDS.items()]
    for number in range(entries):
        if number % _BETWEEN_GOOD == 0:
            good = written(material.event(number // _BETWEEN_GOOD % len(material.tokens)))
            admitted = admission.judge(entry(good), NOW_S * 1_000)
            outcome.good += isinstance(admitted, Admitted)
        name, make = kinds[number % len(kinds)]
        event = make(material, chance)
        try:
            judged = admission.judge(entry(event), NOW_S * 1_000)
        except Exception as error:  # noqa: BLE001  # that is what is looked for
            said = f"raised {type(error).__name__}"
        else:
            if isinstance(judged, Rejection):
                outcome.codes[name, judged.refusal.code.value] += 1
                continue
            said = type(judged).__name__
        outcome.codes[name, said] += 1
        if len(outcome.wrong) < 10:
            outcome.wrong.append(f"{name}: {said}: {event[:3_000]!r}")
    return outcome


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    outcome = fuzz(options.entries, options.seed)
    seconds = time.monotonic() - began
    for (kind, said), count in sorted(outcome.codes.items()):
        print(f"{count:>9,}  {kind:<40} {said}")
    print(
        f"{outcome.codes.total():,} fuzzed entries in {seconds:.0f} s, "
        f"{outcome.codes.total() / seconds:,.0f}/s; {outcome.good:,} good ones in between admitted"
    )
    for line in outcome.wrong:
        print(f"WRONG {line}")
    return 1 if outcome.wrong or outcome.good * _BETWEEN_GOOD < options.entries else 0


if __name__ == "__main__":
    raise SystemExit(_main())
