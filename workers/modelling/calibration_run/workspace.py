"""The workspace of a calibration's processes: one copy of the answers, on disk."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from workers.estimation.documents import parameters_document, parameters_of
from workers.estimation.parameters import Parameters
from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.steps import compute, steps_of
from workers.modelling.judging.predicted import Predicted, predict_held_out

_NAMES: Final = ("items", "concepts", "scales")
_HELD_OUT: Final = "held-out"


class Workspace:
    """A directory of one calibration; opening it maps the answers without copying them.

    Args:
        directory: an existing directory that nothing else uses.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def directory(self) -> Path:
        """Path of the directory."""
        return self._directory

    def lay_out(self, model: str, answers: Answers) -> None:
        """Write the input of all steps."""
        names = {name: getattr(answers, name) for name in _NAMES}
        self._write("names.json", {"model": model, **names})
        for field in fields(answers):
            if field.name not in _NAMES:
                np.save(self._directory / f"{field.name}.npy", getattr(answers, field.name))

    def compare(self, new: Parameters, present: Parameters) -> None:
        """Write the parameters for the predictions of held-out learners."""
        documents = (parameters_document(new), parameters_document(present))
        self._write("parameters.json", documents)

    def answers(self) -> Answers:
        """Map all answers."""
        names = self._read("names.json")
        arrays = {
            field.name: np.load(self._directory / f"{field.name}.npy", mmap_mode="r")
            for field in fields(Answers)
            if field.name not in _NAMES
        }
        return Answers(**{name: names[name] for name in _NAMES}, **arrays)

    def put(self, name: str, document: str) -> None:
        """Write the document of a step."""
        (self._directory / f"{name}.step").write_text(document, encoding="utf-8")

    def taken(self, name: str) -> str:
        """Read the document of a step."""
        return (self._directory / f"{name}.step").read_text(encoding="utf-8")

    def do(self, name: str) -> None:
        """Run a step of `steps_of` or of `span_name`, and write its result."""
        if name.startswith(_HELD_OUT):
            self._predict(name)
            return
        model, answers = self._read("names.json")["model"], self.answers()
        (step,) = [step for step in steps_of(model, answers) if step.name == name]
        done = {needed: self.taken(needed) for needed in step.needs}
        self.put(name, compute(model, step, answers, done))

    def predicted(self, name: str) -> Predicted:
        """Read the predictions of a span."""
        with np.load(self._directory / f"{name}.npz") as arrays:
            return Predicted(*(arrays[field] for field in Predicted._fields))

    def _predict(self, name: str) -> None:
        _, begin, end = name.split()
        new, present = map(parameters_of, self._read("parameters.json"))
        predicted = predict_held_out(self.answers(), (int(begin), int(end)), new, present)
        np.savez(self._directory / f"{name}.npz", **_arrays(predicted))

    def _write(self, name: str, value: Any) -> None:
        (self._directory / name).write_bytes(orjson.dumps(value))

    def _read(self, name: str) -> Any:
        return orjson.loads((self._directory / name).read_bytes())


def span_name(span: tuple[int, int]) -> str:
    """Name the step that predicts the held-out learners of a span."""
    return f"{_HELD_OUT} {span[0]} {span[1]}"


def _arrays(predicted: Predicted) -> Mapping[str, Any]:
    return predicted._asdict()
