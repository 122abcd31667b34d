"""Settings that change at steps."""

import jax
import jax.numpy as jnp
import pytest

from compressjax.gradients._stages import by_steps, run_stage


def test_every_step_is_in_the_last_stage_that_has_started():
    stages = {step: (lambda x, y=y: x + y) for step, y in by_steps("f", "rank", {2: 5, 0: 1, 4: 7}, int).items()}
    found = [int(jax.jit(lambda step: run_stage(step, stages, 0))(jnp.int32(step))) for step in (0, 1, 2, 3, 4, 9)]
    assert found == [1, 1, 5, 5, 7, 7]


def test_a_start_is_needed():
    assert by_steps("f", "rank", 3, int) == {0: 3}
    with pytest.raises(ValueError, match="f: rank={1: 2} has no setting for step 0"):
        by_steps("f", "rank", {1: 2}, int)
