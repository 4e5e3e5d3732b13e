"""Places for the most frequent names."""

import random

from workers.metrics.drift.frequent import FrequentNames


def test_given_free_places_then_the_most_frequent_names_take_them() -> None:
    popular = FrequentNames(2)
    assert popular.count(["a", "b", "b", "c"]) is None
    assert popular.names == ["b", "a"]
    assert popular.places == {"a": 1, "b": 0}


def test_given_a_far_more_frequent_name_then_it_alone_replaces_the_rarest() -> None:
    popular = FrequentNames(2)
    popular.count(["a"] * 60 + ["b"] * 50)
    assert popular.count(["c"] * 200) is None
    assert popular.count(["c"]) == 1
    assert popular.names == ["a", "c"]
    assert popular.places == {"a": 0, "c": 1}
    assert popular.count(["b"] * 100) is None


def test_given_many_names_then_memory_is_bounded_and_frequent_ones_found() -> None:
    draw = random.Random(1)
    popular = FrequentNames(5)
    for _ in range(300):
        rare = [f"rare-{draw.randrange(10**9)}" for _ in range(100)]
        common = [f"common-{draw.randrange(5)}" for _ in range(40)]
        popular.count(rare + common)
        assert len(popular._counts) <= 5 * 20 * 2
    assert {name for name in popular.names if name} == {f"common-{k}" for k in range(5)}


def test_given_what_was_frequent_long_ago_then_it_gives_way() -> None:
    popular = FrequentNames(1)
    popular.count(["old"] * 5_000)
    for _ in range(50):
        popular.count(["new"] * 200)
    assert popular.names == ["new"]
