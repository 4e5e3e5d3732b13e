"""The order of faults comes from the seed alone, and leaves no fault out."""

from dataclasses import replace
from itertools import islice

from tests.faults.catalogue import FAULTS
from tests.faults.chaos.order import Scene, scenes
from tests.faults.stage import Need

_SCENES = 40
_MANY = 2_000


def _first(seed: int, count: int = _SCENES) -> list[Scene]:
    return list(islice(scenes(seed), count))


def test_given_the_same_seed_then_the_order_is_the_same() -> None:
    assert _first(7) == _first(7)


def test_given_another_seed_then_the_order_is_another() -> None:
    orders = [[step.fault.name for s in _first(seed) for step in s.steps] for seed in range(10)]

    assert len({tuple(order) for order in orders}) == len(orders)


def test_given_scenes_then_their_steps_are_numbered_on() -> None:
    numbers = [step.number for scene in _first(1) for step in scene.steps]

    assert numbers == list(range(1, len(numbers) + 1))


def test_given_many_scenes_then_every_fault_of_the_catalogue_is_drawn() -> None:
    drawn = {step.fault.name for scene in _first(3, _MANY) for step in scene.steps}

    assert drawn == {fault.name for fault in FAULTS}


def test_given_a_scene_then_it_has_one_line_or_disk_at_most() -> None:
    assert all(len(scene.needs) <= 1 for scene in _first(5, _MANY))


def test_given_a_fault_with_a_need_of_its_own_then_scenes_have_that_need() -> None:
    faults = (*FAULTS, replace(FAULTS[0], name="new", needs=frozenset({Need.GRAPH})))

    drawn = [
        s for s in islice(scenes(2, faults), _MANY) if "new" in {x.fault.name for x in s.steps}
    ]

    assert drawn
    assert all(scene.needs == {Need.GRAPH} for scene in drawn)


def test_given_a_step_to_end_at_then_the_scene_is_cut_behind_it() -> None:
    scene = next(scene for scene in _first(4) if len(scene.steps) > 2)

    cut = scene.until(scene.steps[1].number)

    assert cut == replace(scene, steps=scene.steps[:2])
