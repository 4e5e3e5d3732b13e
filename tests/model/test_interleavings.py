"""Nothing lost, nothing counted twice, whatever happens when: on a real Redis and Postgres."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Interleavings
from tests.model.world import World


def test_given_any_interleaving_of_faults_then_the_invariants_hold(
    world: World, model_settings: settings
) -> None:
    class OnThisWorld(Interleavings):
        def __init__(self) -> None:
            super().__init__(world)

    run_state_machine_as_test(OnThisWorld, settings=model_settings)
