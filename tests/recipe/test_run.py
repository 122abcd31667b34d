"""An interrupted recipe ends with the same bits as an uninterrupted one."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import recipe
from compressjax.recipe import Advanced, Began, Finished, Refused, Stage, Stopped, Stored, Waiting


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


@pytest.mark.turns(2)
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
    assert sorted(p.name for p in tmp_path.glob("*/[!.]*")) == ["final", "final"]


def test_stages_may_not_share_a_name(tmp_path):
    with pytest.raises(ValueError, match="differ"):
        list(recipe.run([wander("one", 1), wander("one", 2)], recipe.Store(str(tmp_path)), "data"))


def stopped(store, at):
    """Checkpoints of a run that was asked to stop once a step was done."""
    events, asked = [], []
    for event in recipe.run(recipe_of_two(), store, "data", stop=lambda: bool(asked)):
        events.append(event)
        if isinstance(event, Advanced) and (event.stage.name, event.step) == at:
            asked.append(True)
    return events


def test_a_stop_saves_where_it_stands(tmp_path):
    whole = results(recipe.run(recipe_of_two(), recipe.Store(str(tmp_path / "whole")), "data"))
    store = recipe.Store(str(tmp_path / "stopped"))
    events = stopped(store, ("two", 6))
    # The stop comes after step 6, so the next chunk is the last one; 9 is no multiple of save_every=6.
    assert (events[-1].stage.name, events[-1].step) == ("two", 9)
    assert events[-2].saved
    resumed = list(recipe.run(recipe_of_two(), store, "data"))
    assert [e.step for e in resumed if isinstance(e, Began)] == [9]
    assert results(resumed) == whole


def test_a_stop_after_the_last_chunk_and_one_before_a_stage(tmp_path):
    whole = results(recipe.run(recipe_of_two(), recipe.Store(str(tmp_path / "whole")), "data"))
    store = recipe.Store(str(tmp_path / "stopped"))
    assert stopped(store, ("one", 18))[-1].step == 20
    assert [type(e) for e in recipe.run(recipe_of_two(), store, "data", stop=lambda: True)] == [Stopped]
    assert results(recipe.run(recipe_of_two(), store, "data")) == whole


def altered(folder):
    """A step count in the facts is another one."""
    text = (folder / "meta.json").read_text()
    (folder / "meta.json").write_text(text.replace("12", "13").replace('"count": 20', '"count": 21'))
    assert (folder / "meta.json").read_text() != text


def of_an_older_version(folder):
    (folder / "SHA256SUMS").unlink()


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("where", "damage"),
    [
        ("one-*/final", altered),
        ("two-*/final", altered),
        ("two-*/step-*", altered),
        ("one-*/final", of_an_older_version),
    ],
)
def test_a_damaged_checkpoint_is_computed_again(tmp_path, where, damage):
    whole = results(recipe.run(recipe_of_two(), recipe.Store(str(tmp_path / "whole")), "data"))
    store = recipe.Store(str(tmp_path / "damaged"))
    if "step" in where:
        stopped(store, ("two", 9))
    else:
        list(recipe.run(recipe_of_two(), store, "data"))
    *_, folder = sorted(tmp_path.glob(f"damaged/{where}"))
    damage(folder)
    events = list(recipe.run(recipe_of_two(), store, "data"))
    (refused,) = [e for e in events if isinstance(e, Refused)]
    assert refused.name == str(folder.relative_to(tmp_path / "damaged"))
    assert str(folder) in refused.reason
    if "step" in where:  # the last of two; the one before it is whole
        assert [e.step for e in events if isinstance(e, Began)] == [6]
    assert results(events) == whole
    assert not any(isinstance(e, Refused) for e in recipe.run(recipe_of_two(), store, "data"))


def test_a_state_of_another_code_is_refused(tmp_path):
    store = recipe.Store(str(tmp_path))
    stopped(store, ("one", 6))
    longer = wander("one", 2.5)
    start = lambda previous: (jnp.float32(2.5), State(jnp.linspace(0, 1, 7), jnp.int32(0)))  # noqa: E731
    events = list(recipe.run([longer._replace(start=start)], store, "data"))
    assert [type(e) for e in events[:3]] == [Refused, Refused, Began]
    assert "its first leaf that differs is x float32[5], where the stage has x float32[7]" in events[0].reason
    assert events[2].step == 0


def broken(name, at, error):
    """The walk, which fails in the chunk that starts at a step."""
    stage = wander(name, 2.5)

    def advance(context, state, first, count):
        if first == at:
            raise error
        return stage.advance(context, state, first, count)

    return stage._replace(advance=advance)


@pytest.mark.parametrize(
    ("at", "said"), [(9, "the last good state, of step 6, is .*step-000000006"), (3, "no earlier state")]
)
def test_a_run_that_diverges_says_where_its_last_state_is(tmp_path, at, said):
    store = recipe.Store(str(tmp_path))
    with pytest.raises(recipe.DivergedError, match=f"nan at step {at}; {said}"):
        list(recipe.run([broken("one", at, recipe.DivergedError(f"nan at step {at}"))], store, "data"))
    assert next(recipe.run([wander("one", 2.5)], store, "data")).step == (6 if at > 6 else 0)


def test_a_full_disk_is_said_and_leaves_the_last_state(tmp_path, monkeypatch):
    whole = results(recipe.run([wander("one", 2.5)], recipe.Store(str(tmp_path / "whole")), "data"))
    store = recipe.Store(str(tmp_path / "full"))
    events = recipe.run([wander("one", 2.5)], store, "data")
    for event in events:
        if isinstance(event, Advanced) and event.step == 9:
            break
    free = shutil.disk_usage
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match="No space left") as error:
        list(events)
    assert "step-000000012" in error.value.filename
    monkeypatch.setattr("shutil.disk_usage", free)
    resumed = list(recipe.run([wander("one", 2.5)], store, "data"))
    assert resumed[0].step == 6
    assert results(resumed) == whole


def test_one_run_computes_a_stage_while_the_other_waits(tmp_path):
    store = recipe.Store(str(tmp_path))
    first = recipe.run(recipe_of_two(), store, "data")
    assert isinstance(next(first), Began)
    second = recipe.run(recipe_of_two(), store, "data")
    waiting = next(second)
    assert isinstance(waiting, Waiting)
    assert f"process {os.getpid()}" in waiting.owner
    whole = results(first)
    assert results(second) == whole


def test_two_runs_on_a_system_without_locks_end_equal(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe.Lock, "acquire", lambda self: True)
    store = recipe.Store(str(tmp_path))
    runs = [recipe.run(recipe_of_two(), store, "data") for _ in range(2)]
    found: list[list] = [[], []]
    for pair in itertools.zip_longest(*runs):
        for mine, event in zip(found, pair, strict=True):
            mine.append(event)
    assert results(found[0]) == results(found[1])
    assert len(results(found[0])) == 2


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (wander("../../evil", 1), "label '../../evil'"),
        (wander("[/b]", 1), r"use letters, digits"),
        (wander("a" * 101, 1), "100 bytes"),
        (wander("one", 1, steps=0), "steps=0 must be at least 1"),
        (wander("one", 1, chunk=0), "chunk=0 must be at least 1"),
        (wander("one", 1, save_every=0), "save_every=0 must be at least 1"),
    ],
)
def test_stages_that_cannot_run_are_refused_at_once(tmp_path, stage, said):
    with pytest.raises(ValueError, match=said):
        next(recipe.run([stage], recipe.Store(str(tmp_path / "store")), "data"))
    assert os.listdir(tmp_path) == []


PROGRAM = """
    import sys, time
    from compressjax import recipe
    from tests.recipe.test_run import Finished, recipe_of_two
    print("ready", flush=True)
    for event in recipe.run(recipe_of_two(), recipe.Store(sys.argv[1]), "data"):
        time.sleep(0.01)
"""


@pytest.mark.thorough
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
