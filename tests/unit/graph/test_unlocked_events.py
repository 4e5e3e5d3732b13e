"""The event of an unlocked concept: all of it follows from what the graph has noted."""

from contracts.unlocked import ConceptUnlocked
from tests.support.graph_events import mastery_changed
from workers.common.times import to_us
from workers.graph.unlocked_events import unlocked_event
from workers.graph.unlocking import Unlocked
from workers.streams.batch import RawEntry

CAUSE = mastery_changed("s", concept_id="a", version=4)
NOTED = Unlocked(
    "school-7", "s", "c", "a", ("a", "b"), CAUSE.id, "m/1795000000123-0", 4, CAUSE.data.answered_at
)


def test_given_a_cause_without_names_then_its_event_has_only_entry_time() -> None:
    told = ConceptUnlocked.model_validate_json(
        unlocked_event(NOTED, CAUSE, RawEntry("1795000000123-0", {}))
    )

    assert (told.correlationid, told.traceparent) == (None, None)
    assert told.time is not None
    assert to_us(told.time) == 1_795_000_000_123_000


def test_given_the_same_learner_and_concept_then_the_event_id_is_the_same() -> None:
    entry = RawEntry("1795000000123-0", {})
    others = [NOTED._replace(version=9, unlocked_by="b"), NOTED._replace(concept_id="d")]

    ids = [
        ConceptUnlocked.model_validate_json(unlocked_event(unlocked, CAUSE, entry)).id
        for unlocked in (NOTED, *others)
    ]

    assert ids[0] == ids[1] != ids[2]
    assert ids[0][14] == "5", "a UUID of version 5"
