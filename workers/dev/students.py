"""The demo students: the only ones who get tokens over HTTP."""

from typing import Final, NamedTuple


class DemoStudent(NamedTuple):
    """A student of the default tenant."""

    student_id: str
    name: str


DEMO_STUDENTS: Final = (
    DemoStudent("student-001", "Ada"),
    DemoStudent("student-002", "Bruno"),
    DemoStudent("student-003", "Chen"),
    DemoStudent("student-004", "Dilara"),
    DemoStudent("student-005", "Emeka"),
    DemoStudent("student-006", "Frida"),
)

DEMO_IDS: Final = frozenset(student.student_id for student in DEMO_STUDENTS)
