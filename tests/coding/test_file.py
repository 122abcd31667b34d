"""Files: round trips, bombs, resealed damage, a golden file, and no JAX."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from compressjax import coding
from compressjax.coding import ArtifactError, _frame
from tests.coding.samples import leaves, same, shared, weights
from tests.coding.test_leaf import shown

GOLDEN = pathlib.Path(__file__).parent / "golden.cjx"
GOLDEN_3 = pathlib.Path(__file__).parent / "golden_3.cjx"


def mixed(count: int, seed: int) -> np.ndarray:
    """Integers in `[0, 2 ** 16)` from a congruential generator that is written out here."""
    out, state = [], seed
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        out.append(state >> 15)
    return np.array(out)


def golden_leaves():
    """What the golden file holds; made without random numbers, so that any machine can say what it should be."""
    codes = (np.arange(96) * np.arange(96) % 11 % 4).astype(np.uint8).reshape(12, 8)
    book = {
        "node": "Codebook",
        "meta": {},
        "fields": {"centroids": np.array([-1, -0.5, 0.25, 2], np.float32), "codes": codes},
    }
    kept = np.arange(96).reshape(12, 8) % 5 < np.arange(12)[:, None] % 4
    grid = {
        "node": "Quantized",
        "meta": {"bits": 4, "order": (1, 0), "dtype_name": "float32"},
        "fields": {
            "codes": (np.arange(40) * 7 % 15 - 7).astype(np.int8).reshape(5, 8),
            "scale": np.full((1, 5), 0.5, np.float32),
            "zero_point": None,
        },
    }
    return {
        "dense/kernel": {"node": "Masked", "meta": {}, "fields": {"mask": kept, "value": book}},
        "grid/kernel": grid,
        "bias": coding.Bits("bfloat16", (np.arange(6) * 1000).astype(np.uint16)),
        "step": np.array(12, np.int64),
        "ans": np.searchsorted([56000, 61000], mixed(400, 1)).astype(np.int16),
        "huffman": np.repeat([0, 3, 5, 6], [80, 40, 20, 20])[np.argsort(mixed(160, 2), kind="stable")],
        "rows": mixed(800, 3).reshape(40, 20) < 2 ** np.linspace(2, 16, 40)[:, None].round(),
        "bernoulli": mixed(300, 4) < 6000,
        "gaps": np.arange(3000) % 97 == 0,
        "planes": ((mixed(120, 5) + 0.5) / 2**16).astype(np.float32),
        "palette": np.array([0.1, 0.2, -0.3])[mixed(150, 6) % 3],
        "sparse": np.where(mixed(300, 7) < 3000, mixed(300, 8) / 2**10, 0).astype(np.float32),
        "deflate": np.tile(mixed(50, 9), 4).astype(np.uint16),
    }


def golden_leaves_3():
    """What the golden file of version 3 holds."""
    scale = (1 + np.arange(60) % 9)[:, None] ** 2 * (1 + np.arange(50) % 7) ** 2
    return {
        "context": ((mixed(3000, 10).reshape(60, 50) - 2**15) * scale >> 22).astype(np.int8),
        "runs": np.repeat(np.arange(40) % 2 == 0, mixed(40, 11) // 512 + 1),
    }


def resealed(data: bytes, change) -> bytes:
    """The file with a changed manifest and valid digests, as a malicious writer would make it."""
    frame = _frame.parse(data, "x")
    manifest = json.loads(json.dumps({k: v for k, v in frame.manifest.items() if k not in ("format", "sections")}))
    sections = list(frame.sections)
    change(manifest, sections)
    return _frame.build(manifest, sections)


def test_all_samples_come_back(tmp_path):
    path = tmp_path / "model.cjx"
    manifest = coding.write(path, leaves(), metadata={"seed": 3}, extras={"program": b"abc"})
    contents = coding.read(path)
    assert manifest == contents.manifest == coding.inspect(path)
    assert contents.extras == {"program": b"abc"}
    assert list(contents.leaves) == list(leaves())
    assert all(same(contents.leaves[name], shown(spec)) for name, spec in leaves().items())


def test_the_same_leaves_give_the_same_bytes():
    assert coding.dumps(leaves()) == coding.dumps(leaves())


def test_small_leaves_share_a_section():
    many = {f"bias{i}": weights(i, 10) for i in range(50)}
    large = {f"kernel{i}": weights(i, 50, 30) for i in range(3)}
    assert coding.loads(coding.dumps(many)).manifest.ledger.rest["checksums"] == 32 * 3
    assert coding.loads(coding.dumps(large)).manifest.ledger.rest["checksums"] == 32 * 5


def test_overhead_is_small_against_a_small_model():
    net = {f"params/Dense_{i}/kernel": shared(i, 64 * 2 // (i + 1), 50) for i in range(3)}
    net |= {f"params/Dense_{i}/bias": weights(i, 50) for i in range(3)}
    rest = coding.loads(coding.dumps(net, metadata={"seed": 0})).manifest.ledger.rest
    assert sum(rest.values()) < 450


def test_the_golden_file_keeps_loading():
    contents = coding.read(GOLDEN)
    assert contents.manifest.metadata == {"made": "by format version 1"}
    assert all(same(contents.leaves[name], shown(spec)) for name, spec in golden_leaves().items())
    assert contents.extras == {"program": b"not a program"}
    found = {codec for row in contents.manifest.ledger.leaves for codec in row.codecs}
    assert found == set(coding.CODECS) - {"context", "runs"}


def test_the_golden_file_of_version_3_keeps_loading():
    expected = golden_leaves_3()
    contents = coding.read(GOLDEN_3)
    assert all(same(contents.leaves[name], leaf) for name, leaf in expected.items())
    assert [row.codecs for row in contents.manifest.ledger.leaves] == [("context",), ("runs",)]
    assert contents.manifest.format == 3


def test_a_file_has_the_oldest_version_that_holds_it():
    array = np.arange(6)
    assert [coding.loads(coding.dumps(tree)).manifest.format for tree in ({"a": array}, {"a": array, "b": array})] == [
        1,
        2,
    ]


def test_it_reads_without_jax(tmp_path):
    path = tmp_path / "model.cjx"
    coding.write(path, leaves())
    program = f"""
import sys
for name in ("jax", "jaxlib", "flax", "optax", "ml_dtypes"):
    sys.modules[name] = None  # any import of it fails
from compressjax import coding
leaves = coding.read({str(path)!r}).leaves
print(sorted((name, round(float(coding.materialize(spec).sum()), 2)) for name, spec in leaves.items()))
"""
    root = pathlib.Path(coding.__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    expected = sorted((name, round(float(coding.materialize(spec).sum()), 2)) for name, spec in leaves().items())
    assert found.stdout.strip() == str(expected)


@pytest.mark.parametrize("shape", [[2**30], [2**16, 2**16], [2**20, 2**20, 2]])
def test_a_size_bomb_is_refused(shape):
    def swell(manifest, sections):
        manifest["leaves"][0][1] = ["fill", "float64", shape, 8]

    data = resealed(coding.dumps({"w": np.zeros(4)}), swell)
    with pytest.raises(ArtifactError, match=r"needs \d+ bytes but only .* pass a larger max_bytes"):
        coding.loads(data)


def test_max_bytes_bounds_the_sum():
    data = coding.dumps({"a": np.zeros(1000), "b": np.zeros(1000)})
    assert coding.loads(data, max_bytes=16000).leaves["b"].size == 1000
    with pytest.raises(ArtifactError, match="leaf 'b'"):
        coding.loads(data, max_bytes=15999)


def test_a_swollen_program_is_refused():
    def swell(manifest, sections):
        manifest["extras"][0][1] = 2**40

    data = resealed(coding.dumps({}, extras={"program": bytes(1000)}), swell)
    with pytest.raises(ArtifactError, match="extra section 'program'"):
        coding.loads(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda m, s: m["leaves"].append(m["leaves"][0]),
        lambda m, s: m["leaves"].append("w"),
        lambda m, s: m["leaves"][0].__setitem__(0, 3),
        lambda m, s: m["leaves"][0].__setitem__(2, -1),
        lambda m, s: m["leaves"][0].__setitem__(1, {"n": "Masked", "m": {}, "f": {}}),
        lambda m, s: m["leaves"].clear(),
        lambda m, s: m.pop("metadata"),
        lambda m, s: m.pop("extras"),
        lambda m, s: m["extras"].append(["program"]),
        lambda m, s: s.append(b"stowaway"),
    ],
)
def test_manifests_that_make_no_sense_are_refused(change):
    with pytest.raises(ArtifactError):
        coding.loads(resealed(coding.dumps({"w": weights(0, 5)}), change))


@pytest.mark.thorough
def test_resealed_damage_is_refused_or_harmless():
    """Digests do not stop a malicious writer: for any payload, reading returns arrays or raises an error."""
    data, rng, refused = coding.dumps(leaves()), np.random.default_rng(0), 0

    def damage(manifest, sections):
        index = int(rng.integers(len(sections)))
        section = bytearray(sections[index])
        section[int(rng.integers(len(section)))] = int(rng.integers(256))
        sections[index] = bytes(section)

    for _ in range(300):
        try:
            contents = coding.loads(resealed(data, damage), max_bytes=2**24)
        except ArtifactError:
            refused += 1
        else:
            assert list(contents.leaves) == list(leaves())
    assert refused > 50


def test_a_leaf_that_cannot_be_stored_is_named():
    with pytest.raises(ArtifactError, match=r"leaf 'a/b': arrays of type 'object'"):
        coding.dumps({"a/b": np.array([None])})


def test_damage_names_the_file(tmp_path):
    path = tmp_path / "model.cjx"
    path.write_bytes(resealed(coding.dumps({"w": weights(0, 5)}), lambda m, s: m.pop("metadata")))
    for reader in (coding.read, coding.inspect):
        with pytest.raises(ArtifactError, match=r"model\.cjx: the manifest lacks its tables"):
            reader(path)
