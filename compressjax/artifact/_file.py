"""Saves, loads and verifies trees of nodes as artifact files."""

from __future__ import annotations

import collections
import functools
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from compressjax import coding, core
from compressjax.artifact._like import filled
from compressjax.artifact._placing import Shardings, placed
from compressjax.artifact._spec import from_spec, is_key, nonfinite, to_spec
from compressjax.artifact._tree import flatten, unflatten
from compressjax.coding import ArtifactError, Ledger, Manifest
from compressjax.coding._errors import translated
from compressjax.coding._limits import shown


class Artifact(NamedTuple):
    """A loaded file.

    Attributes:
        tree: Tree of arrays and nodes.
        manifest: Metadata and ledger.
        program: Bytes from `export`, or None.
    """

    tree: Any
    manifest: Manifest
    program: bytes | None


class Report(NamedTuple):
    """Summary of an intact file from `verify`.

    Attributes:
        file_bytes: Length of the file, equal to the ledger's sum.
        leaves: Number of leaves decoded.
        nodes: Number of leaves that are nodes.
        ledger: Bytes of each leaf and of the overhead.
    """

    file_bytes: int
    leaves: int
    nodes: int
    ledger: Ledger


def save(
    path: str | os.PathLike[str],
    tree: Any,
    *,
    metadata: Mapping[str, Any] | None = None,
    program: bytes | None = None,
    allow_nonfinite: bool = False,
) -> Manifest:
    """Writes a tree to one file atomically; the length of the file is the compressed size.

    Masked entries are not stored and load as zero. Everything else loads bit-exactly, typed random keys included. An
    array that stands at several places is stored once and loads as one array. Containers other than dict, list and
    tuple load as dicts unless `load` has `like`, and Python numbers as arrays. A file that is replaced keeps its mode,
    and a symbolic link its target.

    Leaves are read from their devices, coded and written one by one, at most eight at a time, so that no host holds the
    tree. Arrays on several devices give the bytes that they give on one. If they lie on several hosts, all hosts call
    `save`, and the first one writes.

    .. math:: \\mathrm{bytes} = \\sum_{leaf} \\min_{codec} |codec(leaf)| + \\mathrm{overhead}

    Args:
        path: File to write or replace.
        tree: Tree of arrays and nodes.
        metadata: JSON-able: recipe, seeds, data fingerprint. Library versions are added under `"versions"`.
        program: Bytes from `export`, to run the file without the source code of the model.
        allow_nonfinite: Whether infinities and NaN may be stored.

    Returns:
        The manifest, whose ledger adds up to the length of the file.

    Raises:
        ArtifactError: If a leaf is not finite or cannot be stored, or the file cannot be written.

    Example:
        >>> import os, tempfile, jax.numpy as jnp
        >>> file = os.path.join(tempfile.mkdtemp(), "model.cjx")
        >>> save(file, {"bias": jnp.zeros(3)}).ledger.file_bytes == os.path.getsize(file)
        True

    Source: codes per leaf as in Han et al., arXiv:1510.00149.
    """
    metadata = dict(metadata or {})
    if "tree" in metadata:
        raise ArtifactError("metadata may not have a key 'tree', which describes the containers; rename it")
    leaves, containers = flatten(tree)
    specs, bits = _specs(leaves, allow_nonfinite)
    described = metadata | {"tree": containers, "versions": versions() | dict(metadata.get("versions", {}))}
    extras = {} if program is None else {"program": bytes(program)}
    spread = any(isinstance(x, jax.Array) and not x.is_fully_addressable for x in jax.tree.leaves(tree))
    alone = not spread or jax.process_index() == 0
    return coding.write(path, specs, store=alone, metadata=described, extras=extras, packed_bits=bits)


def _specs(leaves: Mapping[str, Any], allow_nonfinite: bool) -> tuple[dict[str, Callable[[], Any]], dict[str, int]]:
    """What makes the specs, and packed bits of all leaves; one array or node at several paths gives one spec."""
    specs: dict[str, Callable[[], Any]] = {}
    bits: dict[str, int] = {}
    known: dict[int, str] = {}
    for name, leaf in leaves.items():
        same = known.setdefault(id(leaf), name) if isinstance(leaf, jax.Array | np.ndarray | core.Node) else name
        if same in specs:
            specs[name], bits[name] = specs[same], bits[same]
            continue
        specs[name] = functools.partial(_checked_spec, name, leaf, allow_nonfinite)
        bits[name] = _packed_bits(name, leaf)
    return specs, bits


def _packed_bits(name: str, leaf: Any) -> int:
    if is_key(leaf):
        return core.entry_bits(jax.eval_shape(jax.random.key_data, leaf))
    known = isinstance(leaf, core.Node | jax.Array | np.ndarray | np.generic)
    return core.entry_bits(leaf if known else _spec(name, leaf))


def _spec(name: str, leaf: Any) -> Any:
    try:
        return to_spec(leaf)
    except ArtifactError as error:
        raise ArtifactError(f"leaf {shown(name)}: {error}") from error


def _checked_spec(name: str, leaf: Any, allow_nonfinite: bool) -> Any:
    """The spec of a leaf, whose arrays are read from their devices."""
    spec = _spec(name, leaf)
    if not allow_nonfinite and (count := nonfinite(spec)):
        raise ArtifactError(
            f"leaf {shown(name)} has {count} entries that are infinite or NaN; fix the training, or "
            "pass allow_nonfinite=True to store them"
        )
    return spec


def load(
    path: str | os.PathLike[str], *, like: Any = None, max_bytes: int | None = None, sharding: Shardings | None = None
) -> Artifact:
    """Reads a file that `save` wrote, without executing or unpickling anything.

    Args:
        path: File to read.
        like: Tree of arrays, abstract arrays or nodes, as it was saved: the result has its containers (NNX states,
            Equinox modules, named tuples, dataclasses), and nodes where the file has them. Leaves that are no arrays
            are kept. Without it, containers other than dict, list and tuple load as dicts.
        max_bytes: Limit on the bytes of decoded arrays; by default 1 GiB plus 256 times the length of the file. Reading
            takes at most twice that memory, besides the file.
        sharding: Where the dense tensors would lie: a `NamedSharding` for all, a mapping from paths, or a function
            `(path, leaf) -> NamedSharding`. Leaves are then read one by one, and a device gets its shards alone, those
            of the fields of nodes included; what its devices do not divide is whole on each. The limit is one of a
            leaf, and sections are checked against their digests, not the file as a whole.

    Returns:
        Tree, manifest and program.

    Raises:
        UnknownNode: If a leaf is a node of an unregistered type; the message names the missing import.
        ArtifactError: If any byte is altered, missing or added, the version is unknown, a size is out of bounds, or
            the leaves are not those of `like`.

    Example:
        >>> import os, tempfile, jax.numpy as jnp
        >>> file = os.path.join(tempfile.mkdtemp(), "model.cjx")
        >>> _ = save(file, {"bias": jnp.arange(3)})
        >>> load(file).tree["bias"].tolist()
        [0, 1, 2]
    """
    if sharding is None:
        contents = coding.read(path, max_bytes=max_bytes)
        manifest, specs, program = contents.manifest, dict(contents.leaves), contents.extras.get("program")
        del contents
        with translated(str(path)):
            leaves = _from_specs(specs)
    else:
        opened = coding.Leaves(path, max_bytes=max_bytes, convert=functools.partial(from_spec, array=np.asarray))
        manifest, program = opened.manifest, opened.extras().get("program")
        leaves = placed(opened, sharding)
    with translated(str(path)):
        metadata = dict(manifest.metadata)
        tree = unflatten(metadata.pop("tree", None), leaves)
        if like is not None:
            tree = filled(like, leaves)
    return Artifact(tree, manifest._replace(metadata=metadata), program)


def leaves(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> coding.Leaves:
    """Opens a file for its leaves one by one, each read, checked and decoded when it is asked for.

    Args:
        path: File that `save` wrote.
        max_bytes: Limit on the bytes of the decoded arrays of a leaf, as for `load`.

    Returns:
        Mapping of value paths to arrays and nodes, in the memory of one leaf; see `coding.Leaves`.

    Raises:
        ArtifactError: If the file cannot be read or is damaged; from a leaf, if its section is.
        UnknownNode: From a leaf that is a node of an unregistered type.

    Example:
        >>> import os, tempfile, jax.numpy as jnp
        >>> file = os.path.join(tempfile.mkdtemp(), "model.cjx")
        >>> _ = save(file, {"a": jnp.arange(3), "b": jnp.zeros(2)})
        >>> leaves(file)["a"].tolist()
        [0, 1, 2]
    """
    return coding.Leaves(path, max_bytes=max_bytes, convert=from_spec)


def _from_specs(specs: dict[str, Any]) -> dict[str, Any]:
    """Leaves of specs, which are dropped one by one; what is one spec becomes one leaf."""
    times = collections.Counter(map(id, specs.values()))
    shared: dict[int, tuple[Any, Any]] = {}
    leaves: dict[str, Any] = {}
    for name in list(specs):
        spec = specs.pop(name)
        with translated(f"leaf {shown(name)}"):
            leaves[name] = shared[id(spec)][1] if id(spec) in shared else from_spec(spec)
        if times[id(spec)] > 1:
            shared[id(spec)] = (spec, leaves[name])
    return leaves


def inspect(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> Manifest:
    """Reads the manifest of a file and verifies its checksums, without decoding the leaves.

    Args:
        path: File to read.
        max_bytes: Limit on the memory of the manifest, as for `load`.

    Returns:
        Metadata and ledger.

    Raises:
        ArtifactError: If the file cannot be read or is not intact.

    Example:
        >>> import os, tempfile, jax.numpy as jnp
        >>> file = os.path.join(tempfile.mkdtemp(), "model.cjx")
        >>> _ = save(file, {"bias": jnp.arange(3)}, metadata={"seed": 1})
        >>> inspect(file).metadata["seed"]
        1
    """
    manifest = coding.inspect(path, max_bytes=max_bytes)
    return manifest._replace(metadata={key: value for key, value in manifest.metadata.items() if key != "tree"})


def verify(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> Report:
    """Verifies every digest of a file, decodes every leaf, and adds up the ledger.

    Args:
        path: File to check.
        max_bytes: As for `load`.

    Returns:
        Sizes and counts of the file.

    Raises:
        ArtifactError: If the file is not intact.

    Example:
        >>> import os, tempfile, jax.numpy as jnp
        >>> file = os.path.join(tempfile.mkdtemp(), "model.cjx")
        >>> _ = save(file, {"bias": jnp.arange(3)})
        >>> verify(file).leaves
        1
    """
    artifact = load(path, max_bytes=max_bytes)
    found = jax.tree.leaves(artifact.tree, is_leaf=core.is_node)
    ledger = artifact.manifest.ledger
    return Report(ledger.file_bytes, len(found), sum(map(core.is_node, found)), ledger)


def versions() -> dict[str, str]:
    """Versions of the libraries that write a file."""
    # The root package is above this floor, so read its version without an import.
    own = getattr(sys.modules[__name__.partition(".")[0]], "__version__", "unknown")
    return {
        "compressjax": own,
        "constriction": importlib.metadata.version("constriction"),
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
