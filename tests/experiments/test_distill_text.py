"""Distillation on texts: words and bytes, training that goes on, alignment, and the studies end to end."""

import gzip
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import recipe
from configs import distill_bytes as bytes_file
from configs import distill_minilm as minilm_file
from configs import teacher_store as store_file
from experiments import app
from experiments.pretrained import minilm
from experiments.reproduce import distill_bytes, distill_minilm, grid, resumed, teacher_store, texts

pytestmark = pytest.mark.loose


def launched(file, folder):
    config = file.get_config("smoke").to_dict()
    return app.Launch(config, str(folder / "run"), str(folder / "cache"), "", app.make_mesh(1))


def test_words_end_where_the_text_does(tmp_path):
    place = tmp_path / "text.gz"
    place.write_bytes(gzip.compress("It is\n\n  a naïve   test, is it.".encode()))
    text = texts.read(str(place))
    assert text == "It is a nave test, is it."
    found = texts.words(text, 4)
    begins = [0, *found.ends[:-1]]
    parts = [text[a:b] for a, b in zip(begins, found.ends, strict=True)]
    assert parts == ["It", " is", " a", " nave", " test", ",", " is", " it", "."]
    assert [found.vocabulary[i] for i in found.ids] == ["it", "is", "a", "", "", "", "is", "it", ""]
    assert texts.blocks(np.arange(8), 3).tolist() == [[0, 1, 2, 3], [3, 4, 5, 6]]
    with pytest.raises(ValueError, match="cannot be read; name a text"):
        texts.read(str(tmp_path / "nothing"))


def test_training_goes_on_after_a_kill_with_the_same_weights(tmp_path):
    """Also when the last checkpoint is damaged; and a finished training computes nothing."""
    calls = []

    def draw(step):
        calls.append(step)
        if step == stop:
            raise KeyboardInterrupt
        return (jnp.float32(step),)

    def loss(params, fixed, batch):
        return jnp.sum((params["w"] - fixed * batch[0]) ** 2)

    def train(folder):
        arguments = {"w": jnp.zeros(2)}, loss, jnp.float32(0.5), draw, settings
        return np.asarray(resumed.train(recipe.Store(str(folder)), "a", *arguments)["w"])

    settings, stop = {"steps": 6, "chunk": 2, "learning_rate": 0.1}, None
    whole = train(tmp_path / "whole")
    stop, calls[:] = 5, []
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut")
    stop, calls[:] = None, []
    np.testing.assert_array_equal(train(tmp_path / "cut"), whole)
    assert calls == [4, 5]
    calls.clear()
    np.testing.assert_array_equal(train(tmp_path / "cut"), whole)
    assert not calls
    next(path for path in (tmp_path / "cut").rglob("*") if path.is_file()).write_bytes(b"damaged")
    np.testing.assert_array_equal(train(tmp_path / "cut"), whole)
    assert calls == list(range(6))


def test_chunks_are_the_words_that_lie_in_a_row():
    text = "one two six, one two"
    found = texts.words(text, 4)  # "six" and "," are rarer than "one" and "two", and one of them is unknown
    likelihoods = np.arange(len(found.ids), dtype=np.float32)
    rows = distill_bytes.align(text, found, likelihoods, 9)
    assert [bytes(row).decode() for row in rows.bytes] == ["one two si", "ix, one tw"]
    for row in range(2):
        start, chunks = row * 9 + 1, {}
        for place, chunk in enumerate(rows.places[row]):
            if chunk >= 0:
                chunks[int(chunk)] = chunks.get(int(chunk), "") + text[start + place]
        theirs = {int(c): found.vocabulary[found.ids[int(x)]] for c, x in zip(rows.chunks[row], rows.likelihoods[row])
                  if c >= 0}  # fmt: skip
        assert {c: part.strip() for c, part in chunks.items()} == theirs
        assert theirs


def test_the_copied_encoder_has_the_chosen_layers_in_order():
    model = minilm.tiny({"seed": 0, "heads": 2, "layers": 4, "width": 4, "inner": 4, "words": 9})
    found = distill_minilm.copied({**model.params, "pooler.dense.weight": jnp.ones(1)}, (1, 3))
    assert len(found) == len(model.params) - 2 * 16
    for new, old in ((0, 1), (1, 3)):
        name = "encoder.layer.{}.output.dense.weight"
        np.testing.assert_array_equal(found[name.format(new)], model.params[name.format(old)])


def test_the_loss_of_the_student_is_zero_for_a_teacher_of_the_same_layers():
    """Hidden states of the student meet those of the layers that were copied."""
    model = minilm.tiny({"seed": 0, "heads": 2, "layers": 2, "width": 8, "inner": 8, "words": 9})
    words = {distill_minilm.WORDS: model.params[distill_minilm.WORDS]}
    fixed = {"teacher": model.params, "words": words}
    same = distill_minilm.losses(model.fn, (0, 1), (1.0, 1.0, 1.0))
    loss = jax.jit(lambda trained: same(trained, fixed, model.evaluation[0]))
    assert abs(float(loss(model.params))) < 1e-5
    first = "encoder.layer.0.output.LayerNorm.bias"
    assert float(loss({**model.params, first: model.params[first] + 1.0})) > 0.5  # the mean square of hidden states


@pytest.mark.thorough
def test_the_studies_run_end_to_end(tmp_path):
    for file, study, row in (
        (bytes_file, distill_bytes, "| at most +0.0 | distilled - alone, bits per 1000 bytes |"),
        (store_file, teacher_store, "| at most 10.0 | 4 directions 0.25, millinats |"),
        (minilm_file, distill_minilm, "| at least 8.0 | int8, times smaller |"),
    ):
        launch = launched(file, tmp_path / study.__name__)
        grid.reproduce(launch)
        assert row in (tmp_path / study.__name__ / "run" / "table.md").read_text()
        results = json.loads((tmp_path / study.__name__ / "run" / "results.json").read_text())["results"]
        assert list(results) == study.settings(launch.config)
    assert results["student"]["0"]["times smaller"] < results["int4 by GPTQ"]["0"]["times smaller"]
    assert results["copied"]["0"]["cosine of other texts"] < results["student"]["0"]["cosine of other texts"] < 100
