"""The state machine: publishers, three workers that die and come back, and what becomes of it."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
)

from tests.model import publishing
from tests.model.audit import Audit
from tests.model.incarnation import BATCH, Incarnation
from tests.model.publishing import CHANGES, REFUSED, Answer, Published, numbered
from tests.model.strand import Point
from tests.model.world import PARAMETERS, World
from tests.support.factories import uuid_of
from workers.common.errors import LedgerUnavailable, RedisUnavailable

_MOST_ROUNDS: Final = 60
_MOST_SURPRISES: Final = 2
_MOST_REFUSED: Final = 3

workers = st.sampled_from(("w1", "w1", "w1", "w2", "w2", "w3"))
stops = st.sampled_from((None, None, None, *Point))
some = st.integers(0, 11)


class Interleavings(RuleBasedStateMachine):
    """Whatever happens to the workers, what they leave is what was published.

    Each rule is one thing that happens; between two of them every worker stands still, each of its
    batches at one of the moments of `Point` or behind one that does.

    Args:
        world: the servers.
    """

    published = Bundle("published")

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._alive: dict[str, Incarnation] = {}
        self._responses = 0
        self._surprises = 0
        self._refused = 0
        self._finishing = False
        world.run(world.clear())

    # What publishers do -----------------------------------------------------------------------

    @rule(target=published, drawn=st.lists(publishing.answers(), min_size=1, max_size=4),
          delegated=st.booleans())  # fmt: skip
    def publish(self, drawn: list[Answer], delegated: bool) -> MultipleResults[Answer]:
        new = []
        for answer in drawn:
            self._responses += 1
            new.append(self._add(numbered(answer, self._responses), delegated=delegated))
        return multiple(*new)

    @rule(
        earlier=published, change=st.sampled_from((None, None, *CHANGES)), delegated=st.booleans()
    )
    def publish_again(self, earlier: Answer, change: str | None, delegated: bool) -> None:
        """The same answer, or another one under its id."""
        self._add(CHANGES[change](earlier) if change else earlier, delegated=delegated)

    @precondition(lambda self: self._refused < _MOST_REFUSED)
    @rule(earlier=published, how=st.sampled_from(sorted(REFUSED)))
    def publish_what_is_refused(self, earlier: Answer, how: str) -> None:
        self._refused += 1
        code, spoil = REFUSED[how]
        event_id = self._event_id()
        entry_id = self._xadd(spoil(publishing.event(earlier, event_id)))
        self._world.entries.append(Published(entry_id, event_id, None, code))

    # What workers do --------------------------------------------------------------------------

    @rule(name=workers, count=st.integers(1, BATCH + 2), stop=stops,
          dies=st.sampled_from((False,) * 7 + (True,)))  # fmt: skip
    def read(self, name: str, count: int, stop: Point | None, dies: bool = False) -> None:
        worker = self._started(name, stop)
        worker.strand.stop = stop
        batch = self._world.run(worker.read(count))
        if dies:
            self._end(name, "killed")
        elif batch is not None:
            worker.submit(batch)
            self._world.run(worker.rest())

    @rule(name=workers, stop=stops)
    def claim_from_all(self, name: str, stop: Point | None) -> None:
        worker = self._started(name, stop)
        worker.strand.stop = stop
        worker.claim()
        self._world.run(worker.rest())

    @rule(name=workers, stop=stops)
    def acquire_the_lease(self, name: str, stop: Point | None) -> None:
        """Whoever had it before may go on: the lease proves nothing."""
        worker = self._started(name, stop)
        worker.strand.stop = stop
        worker.take_over()
        self._world.run(worker.rest())

    @rule(name=workers, stop=stops)
    def look_for_stragglers(self, name: str, stop: Point | None) -> None:
        worker = self._started(name, stop)
        worker.strand.stop = stop
        worker.take_over(others_only=True)
        self._world.run(worker.rest())

    @precondition(lambda self: self.held)
    @rule(which=some, stop=stops)
    def go_on(self, which: int, stop: Point | None) -> None:
        worker = self._alive[self._one_of(self.held, which)]
        worker.strand.go_on(stop)
        self._world.run(worker.rest())

    @precondition(lambda self: self._alive)
    @rule(which=some, how=st.sampled_from(("killed", "killed, its request on the way", "given up")))
    def crash(self, which: int, how: str) -> None:
        self._end(self._one_of(list(self._alive), which), how)

    # What servers and operators do ------------------------------------------------------------

    @precondition(lambda self: self.held)
    @rule(which=some)
    def server_is_away(self, which: int) -> None:
        worker = self._alive[self._one_of(self.held, which)]
        in_ledger = worker.strand.holds[0].point in (Point.LOAD, Point.COMMIT, Point.COMMITTED)
        error = LedgerUnavailable("away") if in_ledger else RedisUnavailable("away")
        self._world.run(worker.fail(error))

    @precondition(lambda self: self.held and self._surprises < _MOST_SURPRISES)
    @rule(which=some)
    def something_unexpected(self, which: int) -> None:
        self._surprises += 1
        worker = self._alive[self._one_of(self.held, which)]
        self._world.run(worker.fail(RuntimeError("unexpected")))

    @precondition(lambda self: self._world.strays)
    @rule(which=some)
    def stray_request_arrives(self, which: int) -> None:
        strays = self._world.strays
        stray = strays.pop(which % len(strays))

        async def arrive() -> None:
            await stray()

        self._world.run(arrive())

    @precondition(lambda self: self._world.committed_by)
    @rule(version=st.sampled_from(sorted(PARAMETERS)))
    def new_parameters(self, version: int = 2) -> None:
        """Others count, or the older again: workers notice, whatever they have on the way."""
        self._world.run(self._world.activate(version))

    # The end ----------------------------------------------------------------------------------

    @initialize(finishing=st.booleans())
    def choose_the_end(self, finishing: bool) -> None:
        self._finishing = finishing

    def teardown(self) -> None:
        try:
            if not self._finishing:
                self._end_all()
            self._drain()
            for name in list(self._alive):
                worker = self._alive[name]
                worker.strand.go_on(None)
                self._world.run(worker.rest())
            while self._world.strays:
                self.stray_request_arrives(0)
            self._drain()
            wrong = self._world.run(Audit(self._world).differences())
            assert not wrong, "\n".join(wrong)
        finally:
            self._end_all()

    def _drain(self) -> None:
        """A healthy worker takes all that is left."""
        healthy = self._started("healthy")
        for _ in range(_MOST_ROUNDS):
            healthy.claim()
            self._world.run(healthy.rest())
            while (batch := self._world.run(healthy.read(BATCH))) is not None:
                healthy.submit(batch)
            self._world.run(healthy.rest())
            if self._world.run(self._world.drained()):
                return
        raise AssertionError("the stream is never drained")

    # Tools ------------------------------------------------------------------------------------

    def _add(self, answer: Answer, *, delegated: bool) -> Answer:
        event_id = self._event_id()
        text = publishing.encoded(publishing.event(answer, event_id, delegated=delegated))
        self._world.entries.append(Published(self._xadd(text), event_id, answer))
        return answer

    def _event_id(self) -> str:
        return uuid_of("model event", len(self._world.entries))

    def _xadd(self, text: bytes) -> str:
        return self._world.run(self._world.publish(text))

    def _started(self, name: str, stop: Point | None = None) -> Incarnation:
        """The worker of that name; a new one inherits first, as each start of a worker does."""
        if name not in self._alive:
            until = self._world.run(self._world.last_delivered())
            worker = self._alive[name] = self._world.start(name)
            worker.strand.stop = stop
            worker.inherit(until)
            self._world.run(worker.rest())
        return self._alive[name]

    @property
    def held(self) -> list[str]:
        """Names of the workers of which something is held."""
        return [name for name, worker in self._alive.items() if worker.strand.holds]

    @staticmethod
    def _one_of(names: list[str], which: int) -> str:
        return sorted(names)[which % len(names)]

    def _end(self, name: str, how: str) -> None:
        worker = self._alive.pop(name)
        if how == "given up":
            self._world.run(worker.give_up())
        else:
            self._world.run(worker.die(leaving_request="request" in how))

    def _end_all(self) -> None:
        for name in list(self._alive):
            self._end(name, "killed")
