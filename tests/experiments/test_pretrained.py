"""Pretrained networks: functions against NumPy, readers against bytes by hand, and every method on both networks."""

import collections
import io
import json
import math
import pickle
import sys
import types

import jax
import numpy as np
import pytest

from configs import pretrained as config_file
from experiments import app
from experiments.pretrained import efficientnet, files, minilm, table, verses

erf = np.vectorize(math.erf)


@pytest.fixture(scope="module")
def config():
    return config_file.get_config("smoke").to_dict()


def doubles(model):
    return {name: np.asarray(x, np.float64) for name, x in model.params.items()}


def normalized(p, name, x, epsilon):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)
    return x * p[f"{name}.weight"] + p[f"{name}.bias"]


def sentence_vector(p, tokens, layers, heads):
    """The vector of one sentence without padding."""

    def dense(name, x):
        return np.einsum("oi,ti->to", p[f"{name}.weight"], x) + p[f"{name}.bias"]

    x = p["embeddings.word_embeddings.weight"][tokens] + p["embeddings.position_embeddings.weight"][: len(tokens)]
    x = normalized(p, "embeddings.LayerNorm", x + p["embeddings.token_type_embeddings.weight"][0], 1e-12)
    for i in range(layers):
        name = f"encoder.layer.{i}"
        q, k, v = (dense(f"{name}.attention.self.{part}", x) for part in ("query", "key", "value"))
        size, mixed = x.shape[1] // heads, []
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            shares = np.exp(q[:, part] @ k[:, part].T / math.sqrt(size))
            mixed.append(shares / shares.sum(1, keepdims=True) @ v[:, part])
        attended = dense(f"{name}.attention.output.dense", np.concatenate(mixed, 1))
        x = normalized(p, f"{name}.attention.output.LayerNorm", x + attended, 1e-12)
        inner = dense(f"{name}.intermediate.dense", x)
        inner = inner * (1 + erf(inner / math.sqrt(2))) / 2
        x = normalized(p, f"{name}.output.LayerNorm", x + dense(f"{name}.output.dense", inner), 1e-12)
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def test_the_encoder_is_that_of_numpy(config):
    """Padding to the longest sentence changes no vector."""
    settings = {"seed": 0, **config["models"]["minilm"], **config["models"]["minilm"]["tiny"]}
    model = minilm.tiny(settings)
    tokens, mask = map(np.asarray, model.evaluation[0])
    assert len(set(mask.sum(1))) > 1
    found = np.asarray(jax.jit(model.fn)(model.params, tokens, mask))
    for row in range(4):
        expected = sentence_vector(doubles(model), tokens[row][mask[row] > 0], settings["layers"], settings["heads"])
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def convolved(x, kernel, stride, groups):
    """`SAME` as in TensorFlow: of an odd number of zeros, one more lies at the end."""
    size, side = kernel.shape[-1], x.shape[0]
    out = -(-side // stride)
    zeros = max((out - 1) * stride + size - side, 0)
    x = np.pad(x, [(zeros // 2, zeros - zeros // 2)] * 2 + [(0, 0)])
    parts = []
    for part, group in zip(np.split(x, groups, -1), np.split(kernel, groups), strict=True):
        y = np.zeros((out, out, len(group)))
        for i in range(size):
            for j in range(size):
                y += (
                    part[i : i + out * stride : stride, j : j + out * stride : stride][:out, :out] @ group[:, :, i, j].T
                )
        parts.append(y)
    return np.concatenate(parts, -1)


def logits(p, image, strides):
    def layer(conv, norm, x, stride=1, groups=1):
        x = convolved(x, p[f"{conv}.weight"], stride, groups) - p[f"{norm}.running_mean"]
        return x / np.sqrt(p[f"{norm}.running_var"] + 1e-3) * p[f"{norm}.weight"] + p[f"{norm}.bias"]

    x = np.clip(layer("_conv_stem", "_bn0", image, 2), 0, 6)
    for i, stride in enumerate(strides):
        name, y = f"_blocks.{i}", x
        if i:
            y = np.clip(layer(f"{name}._expand_conv", f"{name}._bn0", y), 0, 6)
        y = np.clip(layer(f"{name}._depthwise_conv", f"{name}._bn1", y, stride, y.shape[-1]), 0, 6)
        y = layer(f"{name}._project_conv", f"{name}._bn2", y)
        x = x + y if x.shape == y.shape else y
    x = np.clip(layer("_conv_head", "_bn1", x), 0, 6)
    return p["_fc.weight"] @ x.mean((0, 1)) + p["_fc.bias"]


def test_the_convolutional_network_is_that_of_numpy(config):
    settings = {"seed": 0, **config["models"]["efficientnet"], **config["models"]["efficientnet"]["tiny"]}
    model = efficientnet.tiny(settings)
    ((images,),) = model.evaluation
    found = np.asarray(jax.jit(model.fn)(model.params, images))
    for row in range(2):
        expected = logits(doubles(model), np.asarray(images[row], np.float64), settings["strides"])
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-4)


def tabulated(config, folder):
    table.tabulate(app.Launch(config, str(folder / "new"), "", "", app.make_mesh(1)))
    return json.loads((folder / "new" / "pretrained.json").read_text()), (folder / "new" / "table.md").read_text()


@pytest.mark.loose
def test_every_method_runs_on_the_encoder(config, tmp_path):
    """Kernels of one shape, so that little is compiled."""
    settings = config["models"]["minilm"]
    small = {**settings, "tiny": {**settings["tiny"], "layers": 1, "inner": settings["tiny"]["width"]}}
    methods = [m for m in config["methods"] if m[0] != "SVD, 90 % energy"] + [("SVD", ("lowrank.svd", {"energy": 0.5}))]
    report, text = tabulated({**config, "models": {"minilm": small}, "methods": methods}, tmp_path)
    rows = {row["method"]: row for row in report["rows"]}
    assert list(rows) == [name for name, _ in methods]
    for row in rows.values():
        assert (row["taken"] + row["left"], row["others"]) == (6, 15)
        assert row["ratio"] == pytest.approx(report["models"]["minilm"]["float32_bytes"] / row["bytes"])
    assert rows["int8"]["mean_cosine"] > 0.999 > rows["half by magnitude"]["mean_cosine"]
    assert text.count("\n| minilm") == 7
    assert text.endswith("every row below 60 s\n")
    assert_resumes({**config, "models": {"minilm": small}, "methods": methods[:1]}, tmp_path, rows)


def assert_resumes(config, folder, rows):
    """What is on disk is not computed again; what is new, clipped here, is."""
    place = folder / "new" / "pretrained.json"
    place.write_text(place.read_text().replace('"bytes"', '"kept": true, "bytes"'))
    clipped = ("clipped", ("quant.rtn", {"bits": 8, "activation": "static"}), {"clip": ("percentile", 99.0)})
    tables = ("tables", ("quant.rtn", {"bits": 8}), {"tables": ("quant.rtn", {"bits": 4})})
    new = {
        row["method"]: row
        for row in tabulated({**config, "methods": (*config["methods"], clipped, tables)}, folder)[0]["rows"]
    }
    kept = {name: row.get("kept", False) for name, row in new.items()}
    assert kept == {"int8": True, "clipped": False, "tables": False}
    # The table of words has 16 numbers each; 28 bits of every one of them are gone.
    assert new["int8"]["bytes"] - new["tables"]["bytes"] > 50 * 16 * 28 / 8 * 0.5
    assert new["tables"]["mean_cosine"] > 0.9
    with pytest.raises(ValueError, match="'clips' does not exist; there are clip and tables"):
        tabulated({**config, "methods": (("wrong", ("quant.rtn", {"bits": 8}), {"clips": "mse"}),)}, folder)
    assert {**new["int8"], "kept": None} == {**rows["int8"], "kept": None}
    assert new["clipped"]["mean_cosine"] < new["int8"]["mean_cosine"]
    seeded = tabulated({**config, "seed": 1}, folder)[0]["rows"]
    assert [row.get("kept", False) for row in seeded] == [False]


@pytest.mark.loose
@pytest.mark.thorough
def test_every_method_runs_on_the_convolutional_network(config, tmp_path):
    report, text = tabulated({**config, "seconds": 0.0}, tmp_path)
    rows = {row["method"]: row for row in report["rows"] if row["model"] == "efficientnet"}
    assert len(report["rows"]) == 2 * len(rows) == 2 * len(config["methods"])
    assert all(row["taken"] + row["left"] == 11 and row["others"] == 41 for row in rows.values())
    assert (rows["int8"]["taken"], rows["int8"]["same"], rows["int8"]["photos"]) == (11, 8, 8)
    assert rows["2:4 by SparseGPT"]["left"] == 4
    assert any("divisible by 4" in reason for reason in rows["2:4 by SparseGPT"]["reasons"])
    assert "more: svd(energy=0.9) would not make it smaller" in text
    assert text.splitlines()[-1].startswith("over 0 s: efficientnet, int8; ")


def test_safetensors_are_read(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(2), "c": np.ones((), np.float16)}
    names = {np.dtype(kind): name for name, kind in files.DTYPES.items()}
    header, content = {"__metadata__": {"format": "pt"}}, b""
    for name, x in arrays.items():
        offsets = [len(content), len(content) + x.nbytes]
        header[name] = {"dtype": names[x.dtype], "shape": list(x.shape), "data_offsets": offsets}
        content += x.tobytes()
    text = json.dumps(header).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    found = files.read_safetensors(str(path))
    assert found.keys() == arrays.keys()
    for name, x in arrays.items():
        assert found[name].dtype == x.dtype
        np.testing.assert_array_equal(found[name], x)


class Stored:
    """A tensor to be pickled: a view of a storage."""

    def __init__(self, key, shape, strides, offset=0):
        self.arguments = (key, shape, strides, offset)


def pickled(monkeypatch, tensors, storages):
    """A file as PyTorch wrote it before version 1.6."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})

    def rebuild(*arguments):
        del arguments

    rebuild.__module__, rebuild.__qualname__, rebuild.__name__ = "torch._utils", *["_rebuild_tensor_v2"] * 2
    utils._rebuild_tensor_v2, torch._utils = rebuild, utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            key = getattr(thing, "key", None)
            return ("storage", torch.FloatStorage, key, "cpu", len(storages[key]), None) if key else None

        def reducer_override(self, thing):
            if not isinstance(thing, Stored):
                return NotImplemented
            key, shape, strides, offset = thing.arguments
            storage = types.SimpleNamespace(key=key)
            return rebuild, (storage, offset, shape, strides, False, collections.OrderedDict())

    file = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, tensors, list(storages)):
        Pickler(file, 2).dump(part)
    for values in storages.values():
        file.write(len(values).to_bytes(8, "little") + np.asarray(values, np.float32).tobytes())
    return file.getvalue()


def test_pickles_of_pytorch_are_read(monkeypatch, tmp_path):
    """Tensors may share a storage, start inside it, and have their axes in another order."""
    tensors = collections.OrderedDict(
        a=Stored("s", (2, 3), (1, 2)), b=Stored("s", (2,), (1,), 4), c=Stored("t", (), ())
    )
    content = pickled(monkeypatch, tensors, {"s": range(6), "t": [7]})
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    found = files.read_torch(str(path))
    assert {name: x.tolist() for name, x in found.items()} == {"a": [[0, 2, 4], [1, 3, 5]], "b": [4, 5], "c": 7}
    for damaged, message in (
        (pickled(monkeypatch, {"a": Stored("s", (7,), (1,))}, {"s": range(6)}), "ends at 6 of 6 entries"),
        (pickled(monkeypatch, {"a": print}, {"s": range(6)}), "asks for builtins.print|asks for __builtin__.print"),
        (pickle.dumps({"a": 1}), "no state dictionary"),
        (b"PK\x03\x04", "no state dictionary"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=message):
            files.read_torch(str(path))


def test_what_is_missing_is_named_with_the_remedy(tmp_path):
    with pytest.raises(ValueError, match="no_such is not installed; run: pip install --no-deps no-such==1"):
        files.located("", "no_such", "model", "no-such==1")
    with pytest.raises(ValueError, match="no_such is not installed; run: pip install --no-deps no-such==1"):
        files.module("no_such", "no-such==1")
    with pytest.raises(ValueError, match="nothing does not exist; name the file"):
        files.located(str(tmp_path / "nothing"), "json", "", "")
    assert files.located("", "json", "decoder.py", "").endswith("json/decoder.py")
    with pytest.raises(ValueError, match="'gpt' does not exist; there are minilm, efficientnet"):
        table.load("gpt", {})


def test_retrieval_counts_the_queries_whose_nearest_text_is_right():
    """Four pairs in shuffled rows; one pair of texts changes places."""
    order = np.array([5, 0, 3, 6, 1, 7, 2, 4])
    dense = np.zeros((8, 4))
    dense[order[:4]] = dense[order[4:]] = np.eye(4)
    found = dense.copy()
    found[order[[4, 5]]] = found[order[[5, 4]]]
    row = verses.retrieval(order)(dense, found)
    assert row["recall"] == 0.5
    assert row["change"] == -0.5
    assert row["fidelity"].startswith("R@1 50.00 % (-50.00 +- 28.87)")


class Words:
    """A tokenizer whose tokens are the lengths of words."""

    no_padding = staticmethod(lambda: None)

    def enable_truncation(self, most):
        self.most = most

    def encode_batch(self, texts):
        return [types.SimpleNamespace(ids=[len(w) for w in text.split()][: self.most]) for text in texts]


def test_texts_of_like_length_share_a_batch_and_keep_their_place():
    texts = ["a bb", "ccc " * 5, "dddd", "e " * 9, "ff gg hh"]
    batches, rows = minilm.in_batches(Words(), texts, size=2, lengths=(3, 6))
    assert [tuple(tokens.shape) for tokens, _ in batches] == [(2, 3), (2, 3), (2, 6)]
    kept = []
    for row in rows:
        tokens, mask = batches[row // 2]
        kept.append(np.asarray(tokens)[row % 2][np.asarray(mask)[row % 2] > 0].tolist())
    assert kept == [[1, 2], [3] * 5, [4], [1] * 6, [2, 2, 2]]
