"""Reading of a recorded response as the contract does."""

import json
from typing import Any

from contracts import ResponseRecorded


def accept(candidate: Any) -> ResponseRecorded:
    return ResponseRecorded.model_validate_json(json.dumps(candidate))
