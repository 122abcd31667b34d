"""Policies: names, defaults and casts."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import precision


def test_names_are_read():
    found = precision.policy("fp8", params="bf16")
    assert [x.name for x in found] == ["float8_e4m3fn", "bfloat16", "float32", "float32", "float8_e5m2"]
    assert precision.policy(jnp.float16).compute.name == "float16"
    assert precision.policy("q4.12").gradients == precision.fixed_point(16, 12)


def test_casts_leave_what_is_not_floating():
    tree = {"w": jnp.array([0.3]), "n": jnp.arange(2), "k": jax.random.key(0)}
    got = precision.cast(tree, "e5m2")
    assert got["w"].dtype == jnp.float8_e5m2
    assert float(got["w"][0]) == 0.3125
    assert got["n"] is tree["n"]
    assert got["k"] is tree["k"]
    assert precision.policy(params="bf16").cast_params(tree)["w"].dtype == jnp.bfloat16


def test_bad_policies_are_named():
    with pytest.raises(ValueError, match="params='float8_e5m2' must be float32, bfloat16 or float16"):
        precision.policy(params="e5m2")
    with pytest.raises(ValueError, match="gradients='bfloat16' do not fit compute='q4.4'"):
        precision.policy("q4.4", gradients="bf16")
    with pytest.raises(ValueError, match=r"policy=3 is not a policy; pass precision\.policy"):
        precision.mixed(abs, 3)
