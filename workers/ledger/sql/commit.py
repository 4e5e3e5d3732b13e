"""The JSON documents of `mastery_commit`."""

from collections.abc import Sequence

from workers.estimation.ability import AbilityEstimate, AbilityState
from workers.estimation.learner import (
    ConceptOutcome,
    ConceptState,
    Learner,
    Position,
    SessionState,
)
from workers.ledger.exchange import Commit, Committed, Conflict
from workers.ledger.sql.arrays import booleans, moments, plain, texts
from workers.ledger.sql.documents import Document
from workers.ledger.sql.load import load_request
from workers.ledger.sql.snapshots import change_columns
from workers.ledger.sql.state_columns import (
    ability_columns,
    concept_columns,
    rate_columns,
    session_columns,
)


def commit_request(commits: Sequence[Commit], outcomes: Sequence[bytes]) -> Document:
    """Write the request of `mastery_commit`.

    Args:
        commits: one for each learner, at least one in all.
        outcomes: the outcome of each response of each commit, in order, as JSON.
    """
    responses = [response for commit in commits for response in commit.folded.responses]
    newest = [_newest(commit.folded.learner) for commit in commits]
    first_of = _first_numbers(commits)
    return {
        "load": load_request([commit.touched for commit in commits]),
        "expected": plain(commit.folded.learner.version for commit in commits),
        "last_by": plain(
            first + len(commit.folded.responses) - 1
            for first, commit in zip(first_of, commits, strict=True)
        ),
        "last_at": moments(position.answered_at_us for position in newest),
        "last_id": texts(position.response_id for position in newest),
        "parameters_version": commits[0].taken_as_active,
        **_parameters(commits),
        "p_of": plain(n for n, c in enumerate(commits, 1) if c.folded.under_new_parameters),
        "r_session": texts(response.session_id for response in responses),
        "r_item": texts(response.item_id for response in responses),
        "r_concepts": texts(texts(response.concept_ids) for response in responses),
        "r_scale": texts(response.scale for response in responses),
        "r_score": plain(response.score for response in responses),
        "r_entry": texts(entry for commit in commits for entry in commit.entries),
        "r_outcome": texts(outcome.decode() for outcome in outcomes),
        **rate_columns(commit.kept for commit in commits),
        **_concepts(commits, first_of),
        **_abilities(commits, first_of),
        **_sessions(commits, first_of),
        **_snapshots(commits),
        **_unchecked(commits),
    }


def _parameters(commits: Sequence[Commit]) -> Document:
    if all(commit.parameters_version == commits[0].taken_as_active for commit in commits):
        return {}
    return {"parameters_of": plain(commit.parameters_version for commit in commits)}


def _unchecked(commits: Sequence[Commit]) -> Document:
    if not any(commit.unchecked for commit in commits):
        return {}
    return {"unchecked": booleans(commit.unchecked for commit in commits)}


def _snapshots(commits: Sequence[Commit]) -> Document:
    numbered = list(enumerate(commits, 1))
    return change_columns(
        changed=[(n, c.folded.changed_from) for n, c in numbered if c.folded.changed_from],
        snapshots=[(n, snapshot) for n, c in numbered for snapshot in c.folded.snapshots],
        taken=[n for n, commit in numbered if commit.snapshot],
    )


def _newest(learner: Learner) -> Position:
    if learner.last is None:
        raise ValueError("a learner is committed with at least one response")
    return learner.last


def _first_numbers(commits: Sequence[Commit]) -> list[int]:
    """Number all responses from 1; return the number of each commit's first."""
    numbers = []
    first = 1
    for commit in commits:
        numbers.append(first)
        first += len(commit.folded.responses)
    return numbers


def _concepts(commits: Sequence[Commit], first_of: Sequence[int]) -> Document:
    learners: list[int] = []
    by: list[int] = []
    states: list[ConceptState] = []
    newest: list[ConceptOutcome] = []
    for n, (commit, first) in enumerate(zip(commits, first_of, strict=True), 1):
        folded = commit.folded
        outcomes = {
            concept.concept_id: concept
            for outcome in folded.outcomes
            for concept in outcome.concepts
        }
        for concept_id, index in folded.concepts.items():
            learners.append(n)
            by.append(first + index)
            states.append(folded.learner.concepts[concept_id])
            newest.append(outcomes[concept_id])
    return {
        **concept_columns(
            learners=learners,
            concept_ids=[outcome.concept_id for outcome in newest],
            masteries=[outcome.mastery for outcome in newest],
            mastered=[outcome.mastered for outcome in newest],
            states=states,
            intervals=[outcome.interval for outcome in newest],
        ),
        "c_by": plain(by),
    }


def _abilities(commits: Sequence[Commit], first_of: Sequence[int]) -> Document:
    learners: list[int] = []
    by: list[int] = []
    scales: list[str] = []
    estimates: list[AbilityEstimate] = []
    states: list[AbilityState] = []
    for n, (commit, first) in enumerate(zip(commits, first_of, strict=True), 1):
        folded = commit.folded
        for scale, index in folded.abilities.items():
            learners.append(n)
            by.append(first + index)
            scales.append(scale)
            estimates.append(folded.estimates[scale])
            states.append(folded.learner.abilities[scale])
    return {
        **ability_columns(learners=learners, scales=scales, estimates=estimates, states=states),
        "a_by": plain(by),
    }


def _sessions(commits: Sequence[Commit], first_of: Sequence[int]) -> Document:
    learners: list[int] = []
    by: list[int] = []
    session_ids: list[str] = []
    states: list[SessionState] = []
    for n, (commit, first) in enumerate(zip(commits, first_of, strict=True), 1):
        folded = commit.folded
        for session_id, index in folded.sessions.items():
            learners.append(n)
            by.append(first + index)
            session_ids.append(session_id)
            states.append(folded.learner.sessions[session_id])
    return {
        **session_columns(learners=learners, session_ids=session_ids, states=states),
        "s_by": plain(by),
    }


def read_commit(document: Document, commits: Sequence[Commit]) -> list[Committed | Conflict]:
    """Read the answer of `mastery_commit`: the new versions, or the conflicts."""
    conflicts = set(document["conflicts"])
    answers: list[Committed | Conflict] = []
    first = 0
    for n, commit in enumerate(commits, 1):
        end = first + len(commit.folded.responses)
        answers.append(Conflict() if n in conflicts else Committed(document["versions"][first:end]))
        first = end
    return answers
