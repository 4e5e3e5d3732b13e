"""The workspace of a calibration's processes: one copy of the answers, on disk."""

import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import fields
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import DTypeLike, NDArray

from workers.estimation.documents import parameters_document, parameters_of
from workers.estimation.parameters import Parameters
from workers.modelling.calibration.answer_files import AnswerFiles, mapped, writing
from workers.modelling.calibration.answer_tables import table_of_scale
from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.facts import Facts, facts_of
from workers.modelling.calibration.merging import tallies_of
from workers.modelling.calibration.steps import compute, steps_of
from workers.modelling.calibration.table import Table
from workers.modelling.calibration.tallies import Tallies
from workers.modelling.judging.predicted import Predicted, predict_held_out

_NAMES: Final = ("items", "concepts")
_HELD_OUT: Final = "held-out"
_SMALL: Final = 2**16
"""Size in bytes below which a column is read instead of mapped."""


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

    def writing(self) -> AbstractContextManager[AnswerFiles]:
        """Write all answers; call `finish` afterwards."""
        return writing(self._directory)

    def finish(self) -> Facts:
        """Collect the figures about all answers."""
        facts = facts_of(self.answers())
        self._write("facts.json", facts.document())
        return facts

    @property
    def complete(self) -> bool:
        """True if `finish` has ended."""
        return (self._directory / "facts.json").exists()

    def choose(self, model: str) -> None:
        """Write the model to fit."""
        self._write("model.json", model)

    def compare(self, new: Parameters, present: Parameters) -> None:
        """Write the parameters for the predictions of held-out learners."""
        documents = (parameters_document(new), parameters_document(present))
        self._write("parameters.json", documents)

    def answers(self) -> Answers:
        """Map all answers."""
        return mapped(self._directory)

    def facts(self) -> Facts:
        """Read the figures about all answers."""
        return Facts.of(self._read("facts.json"))

    def table(self, scale: int) -> Table:
        """Map the table of a scale, which the first to need it builds."""
        directory = self._directory / f"table-{scale}"
        if not directory.exists():
            self._build(scale, directory)
        names = orjson.loads((directory / "names.json").read_bytes())
        arrays: dict[str, Any] = {
            field.name: _map(directory / f"{field.name}.npy")
            for field in fields(Table)
            if field.name not in _NAMES
        }
        return Table(**names, **arrays)

    def _build(self, scale: int, directory: Path) -> None:
        # Another process may build it at the same time: the first one to finish wins.
        own = Path(mkdtemp(prefix=f"{directory.name}-", dir=self._directory))
        table = table_of_scale(self.answers(), scale, partial(_column, own))
        np.save(own / "step.npy", table.step)
        names = {name: getattr(table, name) for name in _NAMES}
        (own / "names.json").write_bytes(orjson.dumps(names))
        try:
            own.rename(directory)
        except OSError:
            if not directory.exists():
                raise

    def tallies(self, scale: int) -> Tallies:
        """Count answers and scores of a scale, without held-out learners."""
        return tallies_of(self.table(scale))

    def put(self, name: str, document: str) -> None:
        """Write the document of a step."""
        self._replace(f"{name}.step", document.encode())

    def taken(self, name: str) -> str:
        """Read the document of a step."""
        return (self._directory / f"{name}.step").read_text(encoding="utf-8")

    def do(self, name: str) -> None:
        """Run a step of `steps_of` or of `span_name`, and write its result."""
        if name.startswith(_HELD_OUT):
            self._predict(name)
            return
        model, facts = self._read("model.json"), self.facts()
        (step,) = [step for step in steps_of(model, facts) if step.name == name]
        done = {needed: self.taken(needed) for needed in step.needs}
        self.put(name, compute(model, step, self.table, done))

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
        self._replace(name, orjson.dumps(value))

    def _replace(self, name: str, content: bytes) -> None:
        # Another process may read the file meanwhile.
        path = self._directory / f"{name}.{os.getpid()}.{threading.get_ident()}"
        path.write_bytes(content)
        path.replace(self._directory / name)

    def _read(self, name: str) -> Any:
        return orjson.loads((self._directory / name).read_bytes())


def span_name(span: tuple[int, int]) -> str:
    """Name the step that predicts the held-out learners of a span."""
    return f"{_HELD_OUT} {span[0]} {span[1]}"


def _column(directory: Path, name: str, size: int, dtype: DTypeLike) -> NDArray[Any]:
    path = directory / f"{name}.npy"
    if not size:
        np.save(path, np.empty(0, dtype))
        return np.empty(0, dtype)
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=(size,))
    return made.view(np.ndarray)


def _map(path: Path) -> NDArray[Any]:
    # A file of no rows cannot be mapped.
    whole: NDArray[Any] = np.load(path, mmap_mode=None if path.stat().st_size < _SMALL else "r")
    return whole.view(np.ndarray)


def _arrays(predicted: Predicted) -> Mapping[str, Any]:
    return predicted._asdict()
