"""Stored programs: any batch, any tree, and a process that has no model source."""

import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import compressjax
from compressjax import artifact, core, interpret, structure, tensors
from compressjax.artifact import ArtifactError
from tests.interpret import cutting, samples
from tests.interpret.test_couplings_zoo import Vision


def tree():
    rng = np.random.default_rng(0)
    codes = jnp.asarray(rng.integers(0, 4, (3, 5)), jnp.uint8)
    kernel = tensors.Masked(tensors.Codebook(jnp.arange(1.0, 5.0), codes), jnp.asarray(rng.random((3, 5)) < 0.5))
    head = tensors.LowRank(jnp.ones((5, 1)), jnp.ones((1, 2)))
    return {"params": {"b": jnp.ones(5), "kernel": kernel}, "head": [head]}


def model(variables, x):
    dense = core.materialize(variables)
    hidden = jnp.tanh(x @ dense["params"]["kernel"] + dense["params"]["b"][None])
    return {"logits": hidden @ dense["head"][0], "hidden": hidden}


def batch(size: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(size).normal(size=(size, 3)), jnp.float32)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "model.cjx"
    artifact.save(file, tree(), program=artifact.export(model, tree(), batch(4)))
    return file


@pytest.mark.parametrize("size", [1, 4, 9])
def test_any_batch_runs(path, size):
    found = artifact.run(path, batch(size))
    expected = model(tree(), batch(size))
    assert set(found) == {"logits", "hidden"}
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)


@pytest.mark.thorough
def test_it_runs_where_the_source_is_not(path, tmp_path):
    np.save(tmp_path / "x.npy", batch(6))
    program = f"""
import numpy as np
from compressjax import artifact
print(artifact.run({str(path)!r}, np.load({str(tmp_path / "x.npy")!r}))["logits"].sum())
"""
    root = pathlib.Path(compressjax.__file__).parents[1]
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert float(found.stdout) == pytest.approx(float(model(tree(), batch(6))["logits"].sum()), rel=1e-5)


def test_containers_that_become_dicts_still_feed_the_program(tmp_path):
    network = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    graph, state = nnx.split(network)
    program = artifact.export(lambda s, x: nnx.merge(graph, s)(x), state, batch(2))
    artifact.save(tmp_path / "m.cjx", state, program=program)
    np.testing.assert_allclose(artifact.run(tmp_path / "m.cjx", batch(5)), network(batch(5)), rtol=1e-6)


def test_several_arguments_and_scalars(tmp_path):
    def shifted(variables, x, y, shift):
        return x @ variables["w"] + y + shift

    weights = {"w": jnp.ones((3, 2))}
    program = artifact.export(shifted, weights, batch(4), jnp.ones((4, 1)), jnp.float32(2))
    artifact.save(tmp_path / "m.cjx", weights, program=program)
    with jax.numpy_rank_promotion("allow"):
        found = artifact.run(tmp_path / "m.cjx", batch(7), jnp.ones((7, 1)), jnp.float32(1))
    assert found.shape == (7, 2)


def test_a_function_of_fixed_shape_keeps_the_examples_shape(tmp_path):
    def halves(variables, x):
        return x.reshape(2, -1) @ jnp.ones((x.size // 2, 1)) * variables["w"][0, 0]

    weights = {"w": jnp.ones((3, 2))}
    with pytest.warns(
        UserWarning, match=r"only takes the shapes of the example, since .* symbolic batch size \(.*batch"
    ):
        program = artifact.export(halves, weights, batch(4))
    assert artifact.export(halves, weights, batch(4), batch="fixed")  # without a warning
    with pytest.raises(ValueError, match="does not run with a symbolic batch size"):
        artifact.export(halves, weights, batch(4), batch="symbolic")
    artifact.save(tmp_path / "m.cjx", weights, program=program)
    assert artifact.run(tmp_path / "m.cjx", batch(4)).shape == (2, 1)
    with pytest.raises(ArtifactError, match=r"do not fit the program in .*which takes float32\[4,3\]"):
        artifact.run(tmp_path / "m.cjx", batch(5))


def _gather(w, x):
    return w[jnp.argsort(x[:, :5])]


OPERATIONS = {
    "product": ((6, 8), (6,), lambda w, x: x @ w),
    "from the left": ((8, 6), (6,), lambda w, x: jnp.einsum("oi,bi->ob", w, x)),
    "rows": ((6, 8), (6,), _gather),
    "rows of the last axis": ((8, 6), (6,), lambda w, x: jnp.take(w, jnp.argmax(x, 1), axis=1)),
    "matrices of a batch": ((3, 4, 6), (3,), lambda w, x: w[jnp.argmax(x, 1)]),
    "batched": ((3, 4, 6), (3, 4), lambda w, x: jnp.einsum("bei,eio->beo", x, w)),
    "layers": ((3, 4, 4), (4,), lambda w, x: jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, w)[0]),
    "convolution": (
        (3, 3, 32, 4), (5, 5, 32),
        lambda w, x: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")),
    ),
}  # fmt: skip


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_node_keeps_a_symbolic_batch(name):
    """Products, convolutions, look-ups and loops on any node; the program then runs at a size that no one traced."""
    shape, row, operation = OPERATIONS[name]
    nodes = samples.zoo(shape) | samples.active(shape)
    if len(shape) == 2:
        places = (jnp.arange(n, dtype=jnp.uint8).reshape(2, n // 2) for n in shape)
        nodes["blocks"] = tensors.BlockDiagonal(jnp.ones((2, shape[0] // 2, shape[1] // 2)), *places)
    lifted = interpret.lift(lambda ws, x: {k: operation(w, x) for k, w in ws.items()}, on_fallback="ignore")
    example = samples.floats(samples.rng(), 2, *row)
    program = jax.export.deserialize(bytearray(artifact.export(lifted, nodes, example, batch="symbolic")))
    assert str(program.in_avals[-1].shape[0]) == "batch"
    assert all("batch" in str(aval.shape) for aval in program.out_avals)
    if name not in ("product", "rows"):
        return  # one compiled program for the products, one for the look-ups
    arrays = [jax.tree.leaves(nodes[key]) for key in sorted(nodes)]
    for size in (1, 3):
        x = samples.floats(samples.rng(size), size, *row)
        got, asked = program.call(arrays, (x,)), samples.quick(lifted)(nodes, x)
        for key in nodes:
            np.testing.assert_allclose(got[key], asked[key], atol=1e-4, err_msg=f"{key}, {size}")


@pytest.mark.thorough
def test_a_narrowed_function_keeps_a_symbolic_batch(tmp_path):
    """A vision transformer: patches, a class token, heads, and a mean over rows of the batch."""
    x = samples.floats(samples.rng(), 2, 8, 8, 4)
    variables = cutting.filled(jax.eval_shape(Vision().init, jax.random.key(0), x))

    def fn(p, x):
        out = Vision().apply(p, x)
        return out - out.mean(0, keepdims=True), jnp.concatenate([out, out])[1:]

    small = structure.shrink(fn, variables, x, keep=0.5, run="narrow", allow_inexact=True)
    program = artifact.export(small.fn, small.params, x, batch="symbolic")
    artifact.save(tmp_path / "m.cjx", small.params, program=program)
    x = samples.floats(samples.rng(1), 3, 8, 8, 4)
    for got, asked in zip(artifact.run(tmp_path / "m.cjx", x), small.fn(small.params, x), strict=True):
        samples.assert_close(got, asked)


def test_units_merged_with_the_batch_need_a_known_size(tmp_path):
    weights = {"a": jnp.ones((3, 4)), "b": jnp.ones((1, 2))}

    def fn(p, x):
        return jnp.sum(jnp.tanh(x @ p["a"]).reshape(-1, 1) @ p["b"])

    small = structure.shrink(fn, weights, batch(2), keep={"a:1": 2}, run="narrow", allow_inexact=True)
    with pytest.warns(UserWarning, match=r"symbolic batch size \(ValueError: narrow: removed units .*fixed batch size"):
        program = artifact.export(small.fn, small.params, batch(2))
    artifact.save(tmp_path / "m.cjx", small.params, program=program)
    samples.assert_close(artifact.run(tmp_path / "m.cjx", batch(2)), small.fn(small.params, batch(2)))
    with pytest.raises(ArtifactError, match=r"takes float32\[2,3\]"):
        artifact.run(tmp_path / "m.cjx", batch(3))
    assert artifact.load(tmp_path / "m.cjx").tree.keys() == small.params.keys()


def test_errors_of_the_users_function_are_heard():
    with pytest.raises(TypeError, match="dot_general"):
        artifact.export(lambda v, x: x @ v["w"], {"w": jnp.ones((7, 2))}, batch(4))


def test_weights_outlive_a_program_and_are_exported_again(path, tmp_path):
    old = tmp_path / "old.cjx"
    artifact.save(old, tree(), program=b"of a JAX that no one has")
    with pytest.raises(
        ArtifactError, match=r"save\(file, tree, program=export\(fn, tree, example\)\) with tree = load"
    ):
        artifact.run(old, batch(2))
    weights = artifact.load(old).tree
    np.testing.assert_array_equal(artifact.leaves(old)["params/b"], jnp.ones(5))
    artifact.save(old, weights, program=artifact.export(model, weights, batch(4)))
    np.testing.assert_allclose(artifact.run(old, batch(2))["logits"], artifact.run(path, batch(2))["logits"], rtol=1e-6)


def test_what_does_not_fit_is_refused(path, tmp_path):
    with pytest.raises(ArtifactError, match=r"inputs do not fit the program in .*takes float32\[batch,3\]"):
        artifact.run(path, jnp.ones((2, 4)))
    with pytest.raises(ArtifactError, match="inputs do not fit"):
        artifact.run(path, batch(2), batch(2))
    artifact.save(tmp_path / "none.cjx", tree())
    with pytest.raises(ArtifactError, match=r"has no program; save it with program=export"):
        artifact.run(tmp_path / "none.cjx", batch(2))
    artifact.save(tmp_path / "odd.cjx", tree(), program=b"not a program")
    with pytest.raises(ArtifactError, match=r"cannot be read by JAX .*export it again"):
        artifact.run(tmp_path / "odd.cjx", batch(2))
    with pytest.raises(ValueError, match="at least one example"):
        artifact.export(model, tree())
    with pytest.raises(ValueError, match="batch='any' is unknown"):
        artifact.export(model, tree(), batch(2), batch="any")


def test_the_program_is_stored_as_it_was_made(tmp_path):
    program = artifact.export(model, tree(), batch(4))
    artifact.save(tmp_path / "m.cjx", tree(), program=program)
    assert artifact.load(tmp_path / "m.cjx").program == program
    assert 0 < artifact.inspect(tmp_path / "m.cjx").ledger.rest["program"] < len(program)


def test_a_program_of_another_jax_is_named(path, monkeypatch):
    def fail(*_):
        raise RuntimeError("INVALID_ARGUMENT: failed to deserialize StableHLO v9.9.9")

    monkeypatch.setattr("jax.export.Exported.call", fail)
    with pytest.raises(
        ArtifactError, match=rf"cannot be run: .*v9\.9\.9; it was saved with JAX {jax.__version__}.*export"
    ):
        artifact.run(path, batch(2))


def test_damaged_programs_raise_one_error(tmp_path):
    program, file = artifact.export(model, tree(), batch(4)), tmp_path / "m.cjx"
    for at in (8, len(program) // 3, len(program) // 2, len(program) - 40):
        artifact.save(file, tree(), program=program[:at])
        with pytest.raises(ArtifactError, match=r"m\.cjx"):
            artifact.run(file, batch(2))


def test_raw_bits_stand_for_types_that_numpy_files_lack(tmp_path):
    variables, x = {"w": jnp.ones((3, 2), jnp.bfloat16)}, jnp.asarray(batch(2), jnp.bfloat16)
    program = artifact.export(lambda v, x: x @ v["w"], variables, x)
    artifact.save(tmp_path / "m.cjx", variables, program=program)
    np.save(tmp_path / "x.npy", x)
    for raw in (np.load(tmp_path / "x.npy"), np.asarray(x).view(np.uint16)):
        np.testing.assert_array_equal(artifact.run(tmp_path / "m.cjx", raw), x @ variables["w"])
    with pytest.raises(ArtifactError, match="do not fit the program"):
        artifact.run(tmp_path / "m.cjx", np.asarray(x).view(np.int16))
