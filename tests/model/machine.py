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

from contracts.streams import shards
from tests.model import publishing
from tests.model.audit import Audit
from tests.model.incarnation import COUNTS, Incarnation
from tests.model.publishing import CHANGES, REFUSED, Answer, Published, numbered
from tests.model.reading import BATCH, Stream
from tests.model.strand import Point
from tests.model.world import PARAMETERS, World
from tests.support.factories import uuid_of
from workers.common.errors import LedgerUnavailable, RedisUnavailable

_MOST_ROUNDS: Final = 60
_MOST_SURPRISES: Final = 2
_MOST_REFUSED: Final = 3
_MOST_FAILOVERS: Final = 2

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
        entry = self._xadd(earlier, spoil(publishing.event(earlier, event_id)))
        self._world.entries.append(Published(entry, event_id, None, code))

    @rule(count=st.sampled_from(COUNTS))
    def change_the_number_of_shards(self, count: int) -> None:
        """Publishers, and workers that start from now on, have another ``STREAM_SHARDS``."""
        self._world.shard_count = count

    # What workers do --------------------------------------------------------------------------

    @rule(name=workers, count=st.integers(1, BATCH + 2), stop=stops,
          dies=st.sampled_from((False,) * 7 + (True,)), which=some)  # fmt: skip
    def read(
        self, name: str, count: int, stop: Point | None, dies: bool = False, which: int = 0
    ) -> None:
        """Read a stream, lease or not: two workers may read one side by side."""
        worker = self._started(name, stop)
        worker.strand.stop = stop
        stream = self._stream(worker, which)
        batch = self._world.run(stream.read(count))
        if dies:
            self._end(name, "killed")
        elif batch is not None:
            worker.submit(stream, batch)
            self._world.run(worker.rest())

    @rule(name=workers, stop=stops, which=some)
    def claim_from_all(self, name: str, stop: Point | None, which: int = 0) -> None:
        worker = self._started(name, stop)
        worker.strand.stop = stop
        worker.claim(self._stream(worker, which))
        self._world.run(worker.rest())

    @rule(name=workers, stop=stops, which=some, others_only=st.booleans())
    def take_over_without_a_lease(
        self, name: str, stop: Point | None, which: int, others_only: bool
    ) -> None:
        worker = self._started(name, stop)
        worker.strand.stop = stop
        worker.take_over(self._stream(worker, which), others_only=others_only)
        self._world.run(worker.rest())

    @rule(name=workers, stop=stops)
    def adjust_leases(self, name: str, stop: Point | None) -> None:
        """Take this worker's share of the streams; hand over what is too much."""
        worker = self._started(name, stop)
        worker.strand.stop = stop
        self._world.run(self._world.adjust(worker))
        self._world.run(worker.rest())

    @precondition(lambda self: self._world.lives)
    @rule(which=some, notices=st.booleans())
    def silence_passes(self, which: int, notices: bool) -> None:
        """The dead are forgotten, and a live worker's leases run out, which it may not notice."""
        silent = self._world.lives[which % len(self._world.lives)]
        self._world.run(self._world.silence_passes([*self._dead(), silent]))
        if notices and silent in self._alive.values():
            self._world.run(self._check(silent))

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

    @rule()
    def replica_catches_up(self) -> None:
        self._world.run(self._world.catch_up())

    @precondition(lambda self: self._world.entries and self._world.failovers < _MOST_FAILOVERS)
    @rule(again=st.booleans())
    def fail_over(self, again: bool) -> None:
        """Redis loses what its replica lacks; publishers may publish again what is lost."""
        for entry in self._world.run(self._world.fail_over()):
            if again and entry.answer is not None:
                self._add(entry.answer, delegated=True)

    @precondition(lambda self: self._world.commits)
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
            self._share_all_streams()
            self._drain_by_leases()
            wrong = self._world.run(Audit(self._world).differences())
            assert not wrong, "\n".join(wrong)
        finally:
            self._end_all()

    def _drain(self) -> None:
        """A healthy worker takes all that is left, whoever holds the leases."""
        healthy = self._started("healthy")
        for _ in range(_MOST_ROUNDS):
            for shard in self._world.used:
                stream = healthy.streams[shard]
                healthy.claim(stream)
                self._world.run(healthy.rest())
                self._read_all(healthy, stream)
            if self._world.run(self._world.drained()):
                return
        raise AssertionError("the streams are never drained")

    def _share_all_streams(self) -> None:
        """Once the dead are forgotten, every stream has one reader."""
        self._world.run(self._world.silence_passes(self._dead()))
        for _ in range(_MOST_ROUNDS):
            for worker in self._alive.values():
                self._world.run(self._world.adjust(worker))
                self._world.run(worker.rest())
            held = [s.stream for worker in self._alive.values() for s in worker.reading.held]
            others = {s for worker in self._alive.values() for s in worker.reading.others}
            own = {shard.responses for shard in shards(self._world.shard_count)}
            if len(held) == len(set(held)) and others | own <= set(held):
                return
        raise AssertionError(f"of {sorted(others | own)} live workers read {held}")

    def _drain_by_leases(self) -> None:
        """Those who hold the leases take all that is left."""
        for _ in range(_MOST_ROUNDS):
            if self._world.run(self._world.drained()):
                return
            for worker in self._alive.values():
                for stream in worker.reading.held:
                    worker.claim(stream)
                    self._world.run(worker.rest())
                    self._read_all(worker, stream)
        raise AssertionError("those who hold the leases never drain the streams")

    def _read_all(self, worker: Incarnation, stream: Stream) -> None:
        while (batch := self._world.run(stream.read(BATCH))) is not None:
            worker.submit(stream, batch)
        self._world.run(worker.rest())

    # Tools ------------------------------------------------------------------------------------

    def _add(self, answer: Answer, *, delegated: bool) -> Answer:
        event_id = self._event_id()
        text = publishing.encoded(publishing.event(answer, event_id, delegated=delegated))
        self._world.entries.append(Published(self._xadd(answer, text), event_id, answer))
        return answer

    def _event_id(self) -> str:
        return uuid_of("model event", len(self._world.entries))

    def _xadd(self, answer: Answer, text: bytes) -> str:
        return self._world.run(self._world.publish(answer.learner, text))

    def _stream(self, worker: Incarnation, which: int) -> Stream:
        used = self._world.used
        return worker.streams[used[which % len(used)]]

    def _dead(self) -> list[Incarnation]:
        return [life for life in self._world.lives if life.consumer not in self._alive]

    @staticmethod
    async def _check(worker: Incarnation) -> None:
        worker.reading.check()
        await worker.rest()

    def _started(self, name: str, stop: Point | None = None) -> Incarnation:
        """The worker of that name; a new one inherits first, as each start of a worker does."""
        if name not in self._alive:
            worker = self._alive[name] = self._world.start(name)
            worker.strand.stop = stop
            for shard in self._world.used:
                until = self._world.run(self._world.last_delivered(shard.responses))
                worker.inherit(worker.streams[shard], until)
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
