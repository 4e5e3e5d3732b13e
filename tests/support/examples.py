"""Set the effort of tests: fewer examples and shorter logs in daily use, all of them under CI.

``CI=1 uv run pytest tests/unit`` runs all of them.
"""

import os
from typing import Final

THOROUGH: Final = bool(os.environ.get("CI"))
EVERYDAY_EXAMPLES: Final = 12


def examples(full: int) -> int:
    """Return the number of examples of a test whose full number is not hypothesis's 100."""
    return full if THOROUGH else max(5, full // 8)
