"""Hostile files: `python -m experiments.mutate --mutations=100000` reads damaged files with valid sums.

Every file is changed where its format has a meaning (shapes, counts, codecs, nodes, containers, payload bytes, codec
parameters), signed again, and given to `inspect`, `load` and `verify` in worker processes. Each read must end in a
result or in an `ArtifactError`, within twice `--max_bytes` plus 50 MB of memory and 5 s a MB of file.
"""

import collections
import contextlib
import copy
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from compressjax import artifact, tensors
from compressjax.coding import CODECS, ArtifactError, _dtypes, _frame
from experiments import app
from experiments.bench.peak import resident, start

SLACK = 50_000_000
SECONDS = 5.0

_COUNT = flags.DEFINE_integer("mutations", 1000, "How many damaged files to read.")
_MAX_BYTES = flags.DEFINE_integer("max_bytes", 20_000_000, "Limit on decoded bytes that the readers are given.")
_SEED = flags.DEFINE_integer("mutation_seed", 0, "Seed of the mutations.")
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes.")

_SIZES = (-1, 0, 1, 2, 3, 7, 255, 4096, 65537, 10**6, 10**8, 2**31, 2**47, 2**63, 10**30, True, 1.5, "8", None, [0], {})


def tree(seed: int) -> dict[str, Any]:
    """A small tree with every node, and arrays that call for every codec."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    codes = jnp.asarray(np.clip(rng.normal(size=(20, 30)) * 2 + 8, 0, 15), jnp.uint8)
    kept = rng.random((20, 30)) < np.linspace(0, 1, 20)[:, None]
    shared = tensors.Codebook(normal(16), codes)
    grid = tensors.Quantized(codes.astype(jnp.int8), jnp.ones((1, 30)), bits=4, order=(1, 0))
    units = jnp.arange(6, dtype=jnp.uint8).reshape(2, 3)
    tied = normal(3, 4)
    return {
        "masked": tensors.Masked(shared, jnp.asarray(kept)),
        "grid": grid.replace(codes=grid.codes.T),
        "low": tensors.LowRank(tensors.Masked(normal(9, 2), jnp.asarray(rng.random((9, 2)) < 0.5)), normal(2, 8)),
        "blocks": tensors.BlockDiagonal(normal(2, 3, 3), units, units),
        "sum": tensors.Sum((normal(3, 3), tensors.LowRank(normal(3, 1), normal(1, 3)))),
        "state": [jax.random.key(seed), tied, (tied, {"fill": jnp.zeros(50), "bf16": normal(40).astype(jnp.bfloat16)})],
        "order": collections.OrderedDict(
            z=normal(200), a=jnp.asarray(np.tile(rng.integers(0, 256, 50), 20), jnp.uint8)
        ),
        "sparse": jnp.where(jnp.asarray(rng.random((50, 50)) < 0.1), normal(50, 50), 0),
        "palette": jnp.asarray([0.1, 0.2, 0.3])[rng.integers(0, 3, (30, 30))],
        "gaps": jnp.asarray(np.arange(5000) % 97 == 0),
        "bernoulli": jnp.asarray(rng.random(500) < 0.1),
        "huffman": jnp.asarray(rng.permutation(np.repeat([0, 3, 5, 6], [80, 40, 20, 20]))),
        "ints": jnp.asarray(rng.integers(-300, 300, 400)),
    }


def places(item: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a manifest with a key into it."""
    for key in list(item) if isinstance(item, dict) else range(len(item)):
        yield item, key
        if isinstance(item[key], dict | list):
            yield from places(item[key])


def mutated(data: bytes, draw: random.Random) -> bytes:
    """The file with one to three changes and valid digests.

    Changes that the writer refuses are drawn again, and so are those that nest deeper than Python can copy.
    """
    frame = _frame.parse(data, "x")
    while True:
        manifest = {key: copy.deepcopy(frame.manifest[key]) for key in ("metadata", "leaves", "extras")}
        sections = [bytearray(section) for section in frame.sections]
        with contextlib.suppress(ArtifactError, RecursionError):
            for _ in range(draw.randint(1, 3)):
                draw.choice((_manifest, _shape, _array, _payload, _payload, _swap, _grow))(manifest, sections, draw)
            return _frame.build(manifest, [bytes(section) for section in sections], draw.choice((1, 2, 2, 2)))


def _manifest(manifest: dict[str, Any], sections: list[bytearray], draw: random.Random) -> None:
    """Any value becomes a size, a copy of another value, or goes."""
    found = list(places(manifest))
    item, key = draw.choice(found)
    if draw.random() < 0.5:
        item[key] = draw.choice(_SIZES)
    elif draw.random() < 0.8:
        other, place = draw.choice(found)
        item[key] = copy.deepcopy(other[place])
    else:
        del item[key]


def _arrays(manifest: dict[str, Any]) -> list[list[Any]]:
    # An earlier change may have put a number in the place of the leaves.
    leaves = manifest.get("leaves")
    entries = [item[key] for item, key in places(leaves)] if isinstance(leaves, dict | list) else []
    return [entry for entry in entries if isinstance(entry, list) and len(entry) > 3 and isinstance(entry[2], list)]


def _shape(manifest: dict[str, Any], sections: list[bytearray], draw: random.Random) -> None:
    """A shape gets other sizes, more axes, or the size that the budget just allows."""
    if entries := _arrays(manifest):
        shape = draw.choice(entries)[2]
        if shape and draw.random() < 0.7:
            shape[draw.randrange(len(shape))] = draw.choice((*_SIZES, 10**6, 4 * 10**6, 2 * 10**7))
        else:
            shape += [draw.choice((0, 1, 2, 10**6))] * draw.choice((1, 2, 31, 40))


def _array(manifest: dict[str, Any], sections: list[bytearray], draw: random.Random) -> None:
    """An array gets another codec, dtype or length."""
    if entries := _arrays(manifest):
        entry, place = draw.choice(entries), draw.choice((0, 1, 3))
        types = [*_dtypes.NATIVE, *_dtypes.FOREIGN]
        entry[place] = draw.choice(((*CODECS, "zip"), types, _SIZES)[min(place, 2)])


def _payload(manifest: dict[str, Any], sections: list[bytearray], draw: random.Random) -> None:
    """Bytes of the payload, where codecs have their parameters."""
    if sections and (section := draw.choice(sections)):
        at = draw.randrange(len(section))
        for place in range(at, min(len(section), at + draw.choice((1, 1, 2, 8)))):
            section[place] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))


def _swap(manifest: dict[str, Any], sections: list[bytearray], draw: random.Random) -> None:
    """Two values of the manifest change places."""
    found = list(places(manifest))
    (item, key), (other, place) = draw.choice(found), draw.choice(found)
    item[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(item[key])


def _grow(manifest: dict[str, Any], sections: list[bytearray], draw: random.Random) -> None:
    """A list is repeated, or a value is nested."""
    item, key = draw.choice(list(places(manifest)))
    value = item[key]
    if isinstance(value, list) and value and draw.random() < 0.5:
        item[key] = (value * draw.choice((2, 30, 3000)))[:3000]
        return
    for _ in range(draw.choice((1, 10, 40, 210))):
        value = {"n": "Sum", "m": {}, "f": {"terms": {"t": [value]}}} if draw.random() < 0.1 else {"l": [value]}
    item[key] = value


def read(path: str, max_bytes: int) -> tuple[str, int, float]:
    """What became of a file, how far the process grew, and seconds of CPU; raises what a reader lets through."""
    before, outcome, began = start(), "refused", time.process_time()
    readers: tuple[Callable[..., Any], ...] = (artifact.inspect, artifact.load, artifact.verify)
    for reader in readers:
        try:
            reader(path, max_bytes=max_bytes)
        except ArtifactError:
            continue
        outcome = "read" if reader is artifact.verify else outcome
    return outcome, resident("VmHWM") - before, (time.process_time() - began) / len(readers)


def campaign(seed: int, count: int, max_bytes: int) -> dict[str, Any]:
    """Reads `count` damaged files; says what became of them, and the largest memory and time of a read.

    Args:
        seed: Seed of the mutations.
        count: Number of files.
        max_bytes: Limit that the readers are given.

    Returns:
        Counts `read` and `refused`; of the worst file, `bytes` by which the process grew, and `seconds`; and `growth`
        of the process over all files.
    """
    draw, found = random.Random(seed), collections.Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.cjx")
        artifact.save(path, tree(seed), metadata={"seed": seed}, program=bytes(range(256)))
        with open(path, "rb") as file:
            data = file.read()
        read(path, max_bytes)
        before, peak, slowest = resident("VmRSS"), 0, 0.0
        for _ in range(count):
            with open(path, "wb") as file:
                file.write(mutated(data, draw))
            outcome, memory, seconds = read(path, max_bytes)
            found[outcome] += 1
            peak, slowest = max(peak, memory), max(slowest, seconds)
    return {**found, "bytes": peak, "growth": resident("VmRSS") - before, "seconds": slowest}


def _job(arguments: tuple[int, int, int]) -> dict[str, Any]:
    return campaign(*arguments)


def mutate() -> None:
    """Runs the campaign in processes and prints what it found.

    Raises:
        ValueError: If a read took more memory or time than it may.
    """
    part = 500
    jobs = [
        (_SEED.value + first, min(part, _COUNT.value - first), _MAX_BYTES.value)
        for first in range(0, _COUNT.value, part)
    ]
    began, totals, worst = time.monotonic(), collections.Counter[str](), collections.Counter[str]()
    with multiprocessing.get_context("spawn").Pool(_WORKERS.value) as pool:
        for result in pool.imap_unordered(_job, jobs):
            for name in ("read", "refused"):
                totals[name] += result.get(name, 0)
            for name in ("bytes", "growth", "seconds"):
                worst[name] = max(worst[name], result[name])
            if sum(totals.values()) % 10_000 == 0:
                worst_read = f"{worst['bytes']} bytes, {worst['seconds']:.2f} s of CPU"
                passed = time.monotonic() - began
                print(f"{totals.total()} of {_COUNT.value} files, {passed:.0f} s; worst read: {worst_read}", flush=True)
    print(f"{totals.total()} files with valid sums: {totals['read']} read, {totals['refused']} refused, nothing else")
    print(
        f"max_bytes={_MAX_BYTES.value}: a read grew the process by at most {worst['bytes']} bytes and took at most "
        f"{worst['seconds']:.2f} s of CPU; {worst['growth']} bytes stayed after 500 files; "
        f"{time.monotonic() - began:.0f} s in all"
    )
    limit = 2 * _MAX_BYTES.value + SLACK
    if worst["bytes"] > limit or worst["seconds"] > SECONDS:
        raise ValueError(f"a read took more than {limit} bytes or {SECONDS} s")


if __name__ == "__main__":
    app.simple(mutate)
