"""Chunks cover the steps once, wherever a run was interrupted."""

import pytest

from compressjax.recipe import Stage, Stored


def stage(steps, chunk, save_every=1):
    return Stage("s", {}, lambda _: (None, 0), lambda c, s: Stored(s, {}), None, steps, chunk, save_every)


@pytest.mark.parametrize(("steps", "chunk"), [(0, 3), (1, 3), (6, 3), (7, 3), (2, 5)])
def test_chunks_tile_the_steps(steps, chunk):
    covered = [step for first, count in stage(steps, chunk).chunks() for step in range(first, first + count)]
    assert covered == list(range(steps))


def test_a_resumed_stage_sees_the_same_cuts():
    whole = stage(23, 5).chunks()
    for i, (first, _) in enumerate(whole):
        assert stage(23, 5).chunks(first) == whole[i:]


def test_checkpoints_fall_on_whole_chunks_and_never_on_the_end():
    due = [step for step in range(5, 25, 5) if stage(20, 5, save_every=7).saves_after(step)]
    assert due == [10]
