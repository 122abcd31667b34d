"""The integer program against all choices one by one."""

import itertools

import numpy as np
import pytest

from compressjax.search import choose


@pytest.mark.parametrize("seed", range(4))
def test_is_the_best_of_all_choices(seed):
    """Five leaves, three or four options, two budgets; losses differ by orders of magnitude."""
    rng = np.random.default_rng(seed)
    options = {f"leaf{i}": [f"o{j}" for j in range(3 + i % 2)] for i in range(5)}
    losses = {leaf: {o: float(np.exp(4 * rng.normal())) for o in found} for leaf, found in options.items()}
    costs = {name: {leaf: {o: float(rng.integers(1, 10**6)) for o in found} for leaf, found in options.items()}
             for name in ("bytes", "flops")}  # fmt: skip
    all_choices = [dict(zip(options, picked)) for picked in itertools.product(*options.values())]

    def total(table, choice):
        return sum(table[leaf][option] for leaf, option in choice.items())

    limits = {name: float(np.median([total(costs[name], choice) for choice in all_choices])) for name in costs}
    inside = [c for c in all_choices if all(total(costs[name], c) <= limits[name] for name in costs)]
    found = choose(losses, costs, limits)
    assert found.options == min(inside, key=lambda c: total(losses, c))
    assert found.loss == pytest.approx(total(losses, found.options))
    assert found.costs == pytest.approx({name: total(costs[name], found.options) for name in costs})


def test_bad_input():
    losses, bits = {"a": {"4": 1.0, "8": 0.5}}, {"bits": {"a": {"4": 4, "8": 8}}}
    with pytest.raises(ValueError, match="bits=3 is below the least possible sum, 4"):
        choose(losses, bits, {"bits": 3})
    with pytest.raises(ValueError, match=r"no costs for \['bytes'\]"):
        choose(losses, bits, {"bytes": 3})
    with pytest.raises(ValueError, match="losses of 'a' with '4' is nan"):
        choose({"a": {"4": np.nan}}, bits, {"bits": 8})
    with pytest.raises(ValueError, match=r"leaves without: \['a'\]"):
        choose({"a": {}}, bits, {"bits": 8})
    both = {"x": {"a": {"4": 4, "8": 8}}, "y": {"a": {"4": 8, "8": 4}}}
    with pytest.raises(ValueError, match="no choice keeps all of"):
        choose(losses, both, {"x": 5, "y": 5})
