"""The protocol: folds by learner, every answer predicted once from what came before it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from signal import SIG_DFL, SIGINT, getsignal, signal

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support.factories import answer
from tests.support.fits import FitOnce, evaluate_with
from tests.support.simulated_learners import simulated
from workers.cli.main import app
from workers.common.errors import InputFileError
from workers.estimation.answering import apply
from workers.estimation.learner import Learner, Response
from workers.estimation.metrics import auc
from workers.estimation.parameters import Parameters
from workers.importing.csv_responses import CsvResponses
from workers.modelling.calibration.answers import answers_of
from workers.modelling.calibration.fitting import fit
from workers.modelling.evaluation.protocol import (
    _begin,
    _fold_of_begun,
    evaluate,
    evaluate_all,
    fold_of,
)
from workers.modelling.evaluation.reading import answers_of_rows, logs_of

ALONE = ["--processes", "1"]


def a_file(directory: Path, learners: int = 25) -> Path:
    path = directory / "responses.csv"
    rows = ["student,item,concept,correct,order"]
    for student, log in enumerate(simulated(learners, 2, most=10)):
        rows += [
            f"s{student},{response.item_id},{response.concept_ids[0]},{response.score:g},{k}"
            for k, response in enumerate(log)
        ]
    # Students come back later in the file, and their answers in no order.
    path.write_text("\n".join([rows[0], *rows[1::2], *rows[2::2]]) + "\n", encoding="utf-8")
    return path


def by_hand(logs: dict[str, list[Response]]) -> tuple[list[float], list[float]]:
    fold = np.random.default_rng(42).permutation(len(logs)) % 5
    score, told = [], []
    for held_out in range(5):
        train = [log for n, log in enumerate(logs.values()) if fold[n] != held_out]
        parameters = fit("bkt", train).parameters
        for n, log in enumerate(logs.values()):
            if fold[n] == held_out:
                learner = Learner()
                for response in log:
                    score.append(response.score)
                    told.append(apply(learner, response, parameters).probability_correct)
    return score, told


def test_given_a_file_then_other_folds_predict_each_answer_once(
    tmp_path: Path,
) -> None:
    logs = logs_of(CsvResponses(a_file(tmp_path)))
    assert list(logs)[:2] == ["s0", "s1"]
    for log in logs.values():
        assert log == sorted(log, key=lambda response: response.position)
    told: list[int] = []
    evaluation = evaluate("bkt", logs, told.append)
    score, expected = by_hand(logs)
    assert evaluation.score.tolist() == score
    assert evaluation.probability.tolist() == expected
    assert sum(told) == len(score) == evaluation.measures()["responses"]
    assert evaluation.measures()["auc"] == auc(np.array(score), np.array(expected))
    assert evaluation.attempt.min() == 1
    assert len(evaluation.concept) == len(score)
    assert len(evaluation.fitted) == 5


def test_given_answers_on_several_concepts_then_each_is_traced() -> None:
    logs = {
        f"s{n}": [
            answer(3 * n + k, at=k, concepts=("a", "b") if k == 1 else ("b",), score=(n + k) % 2)
            for k in range(3)
        ]
        for n in range(10)
    }
    evaluation = evaluate("classical", logs, lambda _: None)
    assert sorted(evaluation.concepts) == ["a", "b"]
    assert evaluation.ceilings == {"a": 1.0, "b": 1.0}
    pair, mastery, score = evaluation.trace
    assert (
        np.bincount(pair).tolist() == [3 if name == "b" else 1 for name in evaluation.concepts] * 10
    )
    for n, log in enumerate(logs.values()):
        learner, expected = Learner(), []
        for response in log:
            apply(learner, response, Parameters())
            expected += [
                (2 * n + evaluation.concepts.index(c), learner.concepts[c].mastery, response.score)
                for c in response.concept_ids
            ]
        own = pair // 2 == n
        assert pair[own].tolist() == [row[0] for row in expected]
        assert 1.0 / (1.0 + np.exp(-mastery[own])) == pytest.approx([row[1] for row in expected])
        assert score[own].tolist() == [row[2] for row in expected]


def test_given_learners_when_folded_then_folds_are_those_of_the_protocol() -> None:
    assert fold_of(12).tolist() == (np.random.default_rng(42).permutation(12) % 5).tolist()


def test_given_too_few_learners_when_evaluated_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="5 learners or more"):
        evaluate("bkt", {}, lambda _: None)


def test_given_answers_on_two_scales_when_evaluated_then_they_are_refused() -> None:
    with pytest.raises(ValueError, match="on one scale, not on a, b"):
        evaluate(
            "bkt",
            {f"s{n}": [answer(n, scale="ab"[n % 2])] for n in range(5)},
            lambda _: None,
        )


def test_given_a_file_when_the_command_runs_then_json_has_the_measures(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app,
        ["evaluate", str(a_file(tmp_path)), "--json", "--model=classical", "--model=bkt", *ALONE],
    )
    assert done.exit_code == 0, done.output
    measures = json.loads(done.stdout)
    assert list(measures) == ["classical", "bkt"]
    for measure in measures.values():
        assert list(measure) == ["auc", "rmse", "ece", "log_loss", "responses", "mastery"]
        assert 0.0 <= measure["mastery"]["at_threshold"]["share"] <= 1.0
        assert set(measure["mastery"]["at_shares"]) == {"0.3", "0.4", "0.5"}
        assert set(measure["mastery"]["ceilings"].values()) == {1.0}
        assert 0.0 <= measure["auc"] <= 1.0
        assert measure["responses"] == sum(map(len, simulated(25, 2, most=10)))


def test_given_a_file_when_the_command_runs_then_a_table_names_all_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_with(monkeypatch, FitOnce())
    done = CliRunner().invoke(
        app, ["evaluate", str(a_file(tmp_path)), *ALONE], env={"COLUMNS": "120"}
    )
    assert done.exit_code == 0, done.output
    for name in ("classical", "bkt", "bkt-forgets", "kt-idem", "irt", "bkt-irt", "AUC", "ECE"):
        assert name in done.stdout
    assert "Validity of mastery" in done.stdout


def test_given_answers_all_alike_then_the_command_shows_no_auc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_with(monkeypatch, FitOnce())
    path = tmp_path / "right.csv"
    rows = [f"s{n},q{k},c,1,{k}" for n in range(6) for k in range(4)]
    path.write_text("\n".join(["student,item,concept,correct,order", *rows]), encoding="utf-8")
    command = ["evaluate", str(path), "--model", "bkt-irt", *ALONE]
    table = CliRunner().invoke(app, command, env={"COLUMNS": "120"})
    assert table.exit_code == 0, table.output
    assert "–" in table.stdout  # noqa: RUF001
    assert "nan" not in table.stdout
    told = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert told["bkt-irt"]["auc"] is None
    assert told["bkt-irt"]["rmse"] < 0.2


def test_given_no_such_model_or_too_few_students_when_run_then_it_says_so(tmp_path: Path) -> None:
    wrong = CliRunner().invoke(app, ["evaluate", str(a_file(tmp_path)), "--model", "dkt"])
    assert wrong.exit_code == 2
    assert "dkt" in wrong.output
    few = CliRunner().invoke(app, ["evaluate", str(a_file(tmp_path, 4))])
    assert isinstance(few.exception, InputFileError)
    assert "4 students" in str(few.exception)


def test_given_several_processes_then_the_predictions_are_the_same() -> None:
    answers = answers_of(simulated(12, 3, most=6))
    told: list[tuple[str, int]] = []
    evaluation = evaluate_all(["classical", "bkt"], answers, lambda *_: None)
    two = evaluate_all(["classical", "bkt"], answers, lambda *each: told.append(each), 2)
    assert list(evaluation) == list(two)
    for model, prediction in two.items():
        assert prediction.probability.tolist() == evaluation[model].probability.tolist()
        assert list(prediction.concept) == list(evaluation[model].concept)
        assert sum(n for of, n in told if of == model) == answers.score.size


def test_given_a_starting_pool_process_then_an_interrupt_ends_it_silently() -> None:
    before = getsignal(SIGINT)
    answers = answers_of(simulated(6, 4, most=4))
    try:
        _begin(answers)
        assert getsignal(SIGINT) is SIG_DFL
        assert _fold_of_begun("classical", 0).score.size
    finally:
        signal(SIGINT, before)


_KILLED = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import os, time
from workers.modelling.evaluation.protocol import _begin

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), _begin, (None,)) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="needs Linux: /proc tells who runs"
)
def test_given_a_command_at_work_when_it_is_killed_then_its_processes_end(tmp_path: Path) -> None:
    script = tmp_path / "at_work.py"
    script.write_text(_KILLED, encoding="utf-8")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        status = Path("/proc", command.stdout.readline().strip(), "stat")
        assert _runs(status)
        command.kill()
    until = time.monotonic() + 60.0
    while _runs(status):
        assert time.monotonic() < until
        time.sleep(0.05)


def _runs(status: Path) -> bool:
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_given_rows_in_any_order_then_arrays_equal_the_logs(tmp_path: Path) -> None:
    rows = [
        f"s{n * 7 % 5},q{n % 3},{'a' if n % 2 else 'b~a'},{n % 4 / 4},{n * 11 % 13}"
        for n in range(40)
    ]
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(["student,item,concept,correct,order", *rows, rows[3]]))
    expected = answers_of(logs_of(CsvResponses(file)).values())
    read = answers_of_rows(CsvResponses(file))
    assert read.digest() == expected.digest()
    assert vars(read).keys() == vars(expected).keys()
