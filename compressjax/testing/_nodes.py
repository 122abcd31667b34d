"""Laws of all nodes apart from products: shape, size, file, and NumPy decoder."""

import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import artifact, coding, core
from compressjax.artifact._spec import to_spec
from compressjax.coding._leaf import stored
from compressjax.testing._compare import Broken, difference, float64, require
from compressjax.testing._lifting import assert_lifted, assert_sharded, magnitude, rounding

Tree = Any
Folder = str | pathlib.Path


def check_node(*nodes: core.Node) -> tuple[str, ...]:
    """Checks all laws of nodes: shape, `lift`, sharding, size, file, and the NumPy decoder.

    Args:
        *nodes: Nodes to check; use several of one class, with different sizes, dtypes and contents.

    Returns:
        Names of the laws that hold, without `"sharded"` if there is one device, and without `"decoded"` if a type has
        no NumPy decoder.

    Raises:
        Broken: If a law does not hold.

    Example:
        >>> from compressjax import tensors
        >>> "decoded" in check_node(tensors.Codebook(jnp.ones(2), jnp.zeros(4, jnp.uint8)))
        True
    """
    held = ["shape", "lifted", "sharded", "size", "lossless", "decoded"]
    if jax.device_count() < 2:
        held.remove("sharded")
    for seed, node in enumerate(nodes):
        assert_node_shape(node)
        assert_lifted(node, seed)
        if "sharded" in held:
            assert_sharded(node, seed)
        tree = {"layer": {"kernel": node, "bias": jnp.ones(3)}}
        with tempfile.TemporaryDirectory() as folder:
            assert_size(tree, folder)
            assert_lossless(tree, folder)
            if not assert_decoded(tree, folder) and "decoded" in held:
                held.remove("decoded")
    return tuple(held)


def assert_node_shape(node: core.Node) -> None:
    """Law 1 for nodes: their attributes agree with the dense tensor, concrete and abstract."""
    dense = node.materialize()
    abstract = jax.eval_shape(lambda n: n.materialize(), node)
    for what, x in (("materialize", dense), ("abstract materialize", abstract)):
        require(tuple(x.shape) == tuple(node.shape), "shape", f"{what} gives {x.shape}, the node says {node.shape}")
        require(x.dtype == jnp.dtype(node.dtype), "shape", f"{what} gives {x.dtype}, the node says {node.dtype}")
    require(node.ndim == dense.ndim and node.size == dense.size, "shape", "ndim or size do not follow from shape")


def assert_size(
    tree: Tree,
    folder: Folder,
    save: Callable[..., Any] = artifact.save,
    bits: Callable[[Any], int] | None = None,
) -> None:
    """Law 7: the bits of nodes, the ledger of the artifact and the length of the file agree.

    A node has at least the bits of its floating-point fields that are not aligned, and at most those of all fields.
    Fewer stored entries never take more bits.
    """
    sizes = core.storage(tree)
    for path, leaf in core.nodes(tree).items():
        low, high = _least_bits(leaf), _most_bits(leaf)
        require(low <= sizes[path] <= high, "size", f"{path} says {sizes[path]} bits; its fields need {low} to {high}")
        kept = [core.entry_bits(leaf, count) for count in (0, leaf.size // 2, leaf.size)]
        require(
            sorted(kept) == kept and kept[-1] == sizes[path], "size",
            f"{path} says {sizes[path]} bits, and {kept} bits with none, half and all of its entries stored",
        )  # fmt: skip
        if bits is not None:
            require(sizes[path] == bits(leaf), "size", f"{path} says {sizes[path]} bits and holds {bits(leaf)}")
    file = pathlib.Path(folder) / "size.cjx"
    ledger = save(file, tree).ledger
    length = file.stat().st_size
    rows = sum(row.file_bytes for row in ledger.leaves) + sum(ledger.rest.values())
    require(rows == length == ledger.file_bytes, "size", f"the ledger adds up to {rows} bytes, the file has {length}")
    packed = {row.path: row.packed_bytes for row in ledger.leaves}
    expected = {path: -(-count // 8) for path, count in sizes.items()}
    require(packed == expected, "size", f"the ledger says {packed} packed bytes, the nodes say {expected}")
    bare = {path: 4 * int(np.prod(leaf.shape)) for path, leaf in core.nodes(tree).items()}
    require({row.path: row.float32_bytes for row in ledger.leaves} == bare, "size", "float32 bytes are off")


def _fields(node: core.Node) -> Iterator[tuple[str, Any]]:
    """Names and parts of the fields with arrays."""
    for name, role in node.roles.items():
        field = getattr(node, name)
        if role != "meta" and field is not None:
            yield from ((name, part) for part in (field if isinstance(field, tuple | list) else (field,)))


def _most_bits(x: Any) -> int:
    return sum(core.entry_bits(part) for _, part in _fields(x)) if core.is_node(x) else core.entry_bits(x)


def _least_bits(x: Any) -> int:
    if core.is_node(x):
        return sum(_least_bits(part) for name, part in _fields(x) if name not in x.aligned)
    return int(np.prod(x.shape)) * jnp.finfo(x.dtype).bits if jnp.issubdtype(x.dtype, jnp.floating) else 0


def assert_lossless(
    tree: Tree,
    folder: Folder,
    save: Callable[..., Any] = artifact.save,
    load: Callable[..., Any] = artifact.load,
    seed: int = 0,
) -> None:
    """Law 8: loading restores the saved tree, bit for bit, and raises for altered or truncated files."""
    file = pathlib.Path(folder) / "lossless.cjx"
    save(file, tree)
    back = load(file).tree
    problem = difference(core.materialize(back), core.materialize(tree))
    require(not problem, "lossless", f"dense tensors differ: {problem}")
    specs = [{path: to_spec(leaf) for path, leaf in core.nodes(t).items()} for t in (back, tree)]
    loaded, saved = ({path: list(stored(spec)) for path, spec in part.items()} for part in specs)
    problem = difference(loaded, saved)
    require(not problem, "lossless", f"what is stored differs: {problem}")
    metas = [_metas(part) for part in specs]
    require(metas[0] == metas[1], "lossless", f"types or metadata differ: {metas[0]} and {metas[1]}")
    _refuses_damage(file, load, np.random.default_rng(seed))


def _metas(specs: dict[str, Any]) -> list[Any]:
    """Types and metadata of all nodes."""
    found: list[Any] = []

    def visit(spec: Any) -> None:
        if isinstance(spec, dict):
            found.append((spec["node"], spec["meta"], spec["shape"]))
            for field in spec["fields"].values():
                visit(field)
        elif isinstance(spec, tuple | list):
            for part in spec:
                visit(part)

    for spec in specs.values():
        visit(spec)
    return found


def _refuses_damage(file: pathlib.Path, load: Callable[..., Any], rng: np.random.Generator, tries: int = 6) -> None:
    whole = file.read_bytes()
    for _ in range(tries):
        place, flip = int(rng.integers(len(whole))), int(rng.integers(1, 256))
        altered = bytearray(whole)
        altered[place] ^= flip
        cut = whole[: int(rng.integers(len(whole)))]
        for what, data in ((f"byte {place} altered", bytes(altered)), ("truncated", cut), ("longer", whole + b"\0")):
            damaged = file.with_name("damaged.cjx")
            damaged.write_bytes(data)
            try:
                load(damaged)
            except artifact.ArtifactError as error:
                require(len(str(error)) > 10, "lossless", f"{what}: the error says nothing: {error!r}")
                continue
            except Exception as error:
                raise Broken(f"lossless: {what}: {type(error).__name__} instead of ArtifactError: {error}") from error
            raise Broken(f"lossless: a damaged file ({what} of {len(whole)} bytes) was loaded")


def assert_decoded(tree: Tree, folder: Folder, materialize: Callable[[Any], np.ndarray] = coding.materialize) -> bool:
    """NumPy decodes a file to the dense tensors of the nodes, up to rounding; skips types without a decoder."""
    file = pathlib.Path(folder) / "decoded.cjx"
    artifact.save(file, tree)
    specs, complete = coding.read(file).leaves, True
    for path, node in core.nodes(tree).items():
        if not core.is_node(node):
            continue
        try:
            got = float64(materialize(specs[path]))
        except artifact.UnknownNode:
            complete = False
            continue
        dense = float64(node.materialize())
        require(got.shape == dense.shape, "decoded", f"{path} decodes to shape {got.shape}, the node has {dense.shape}")
        excess = np.abs(got - dense) - rounding(node) * float64(magnitude(node)) - 1e-30
        require((excess <= 0).all(), "decoded", f"NumPy decodes {path} to other entries, off by {excess.max():.3g}")
    return complete
