"""The Express example has the students and questions of `mastery dev`."""

import json
import re
from pathlib import Path
from typing import Final

from workers.dev.curriculum import curriculum_document
from workers.dev.students import DEMO_STUDENTS

_EXAMPLES: Final = Path(__file__).parents[3] / "contracts" / "typescript" / "examples"


def test_given_the_curriculum_then_that_of_the_example_is_the_same() -> None:
    kept = json.loads((_EXAMPLES / "curriculum.json").read_text("utf-8"))
    own = json.loads(json.dumps(curriculum_document()))
    assert kept == own, "write GET /dev/curriculum into the file"


def test_given_the_demo_students_then_the_example_has_the_same() -> None:
    text = (_EXAMPLES / "practice.ts").read_text("utf-8")
    found = re.findall(r'\{ student_id: "([\w-]+)", name: "(\w+)" \}', text)
    assert found == [tuple(student) for student in DEMO_STUDENTS]
