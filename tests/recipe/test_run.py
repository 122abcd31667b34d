"""An interrupted recipe ends with the same bits as an uninterrupted one."""

import os
import random
import signal
import subprocess
import sys
import textwrap
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import recipe
from compressjax.recipe import Advanced, Began, Finished, Stage, Stored


class State(NamedTuple):
    x: jax.Array
    count: jax.Array


@jax.jit
def step(scale, state):
    return State(jnp.sin(state.x * scale) + 0.1, state.count + 1)


def wander(name, scale, steps=20, chunk=3, save_every=6):
    """A chaotic walk: any lost or repeated step shows in the bits."""

    def start(previous):
        before = previous["one"].tree["x"] if "one" in previous else np.linspace(0, 1, 5, dtype=np.float32)
        return jnp.float32(scale), State(jnp.asarray(before), jnp.int32(0))

    def advance(context, state, first, count):
        for _ in range(count):
            state = step(context, state)
        return state, {"x": float(state.x[0])}

    def finish(context, state):
        return Stored({"x": state.x}, {"count": int(state.count)})

    return Stage(name, {"scale": scale, "steps": steps}, start, finish, advance, steps, chunk, save_every)


def recipe_of_two():
    return [wander("one", 2.5), wander("two", 3.5)]


def results(events):
    found = [(e.stage.name, e.result, e.history) for e in events if isinstance(e, Finished)]
    return [(name, result.tree["x"].tobytes(), result.facts, history) for name, result, history in found]


def test_events_come_in_order(tmp_path):
    events = list(recipe.run([wander("one", 2.5)], recipe.Store(str(tmp_path)), "data"))
    assert [type(e) for e in events] == [Began, *[Advanced] * 7, Finished]
    assert [e.step for e in events[1:-1]] == [3, 6, 9, 12, 15, 18, 20]
    assert [e.step for e in events[1:-1] if e.saved] == [6, 12, 18]
    assert [record["step"] for record in events[-1].history] == [3, 6, 9, 12, 15, 18, 20]


def test_a_finished_recipe_is_read_not_run(tmp_path):
    store = recipe.Store(str(tmp_path))
    first = list(recipe.run(recipe_of_two(), store, "data"))
    second = list(recipe.run(recipe_of_two(), store, "data"))
    assert [type(e) for e in second] == [Finished, Finished]
    assert all(e.cached for e in second)
    assert results(second) == results(first)


@pytest.mark.parametrize("stop", range(1, 18))
def test_stopped_after_any_event_it_ends_bit_equal(tmp_path, stop):
    whole = results(recipe.run(recipe_of_two(), recipe.Store(str(tmp_path / "whole")), "data"))
    store = recipe.Store(str(tmp_path / "stopped"))
    events = recipe.run(recipe_of_two(), store, "data")
    for _ in range(stop):
        next(events)
    events.close()
    assert results(recipe.run(recipe_of_two(), store, "data")) == whole


def test_a_resumed_stage_starts_at_its_checkpoint(tmp_path):
    store = recipe.Store(str(tmp_path))
    for event in recipe.run([wander("one", 2.5)], store, "data"):
        if isinstance(event, Advanced) and event.step == 15:
            break
    event = next(recipe.run([wander("one", 2.5)], store, "data"))
    assert (type(event), event.step) == (Began, 12)


def test_only_what_changed_runs_again(tmp_path):
    store = recipe.Store(str(tmp_path))
    list(recipe.run(recipe_of_two(), store, "data"))
    changed = recipe.run([wander("one", 2.5), wander("two", 3.6)], store, "data")
    assert [e.cached for e in changed if isinstance(e, Finished)] == [True, False]
    other_data = recipe.run(recipe_of_two(), store, "other")
    assert [e.cached for e in other_data if isinstance(e, Finished)] == [False, False]


def test_checkpoints_of_finished_stages_are_removed(tmp_path):
    list(recipe.run(recipe_of_two(), recipe.Store(str(tmp_path)), "data"))
    assert sorted(p.name for p in tmp_path.glob("*/*")) == ["final", "final"]


def test_stages_may_not_share_a_name(tmp_path):
    with pytest.raises(ValueError, match="differ"):
        list(recipe.run([wander("one", 1), wander("one", 2)], recipe.Store(str(tmp_path)), "data"))


def test_a_state_of_another_code_is_refused(tmp_path):
    store = recipe.Store(str(tmp_path))
    events = recipe.run([wander("one", 2.5)], store, "data")
    for event in events:
        if isinstance(event, Advanced) and event.saved:
            break
    events.close()
    other = wander("one", 2.5)._replace(start=lambda previous: (None, {"only": jnp.zeros(5)}))
    with pytest.raises(ValueError, match="code has changed"):
        list(recipe.run([other], store, "data"))


PROGRAM = """
    import sys, time
    from compressjax import recipe
    from tests.recipe.test_run import Finished, recipe_of_two
    print("ready", flush=True)
    for event in recipe.run(recipe_of_two(), recipe.Store(sys.argv[1]), "data"):
        time.sleep(0.01)
"""


def test_killed_at_random_moments_it_ends_bit_equal(tmp_path):
    whole = results(recipe.run(recipe_of_two(), recipe.Store(str(tmp_path / "whole")), "data"))
    draw = random.Random(0)
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "killed")],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        ) as process:
            process.stdout.readline()
            try:
                process.wait(draw.uniform(0.05, 1.2))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    assert results(recipe.run(recipe_of_two(), recipe.Store(str(tmp_path / "killed")), "data")) == whole
