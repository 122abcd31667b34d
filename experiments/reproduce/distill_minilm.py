"""Every second layer of MiniLM as a student, trained on verses and then quantized: retrieval, bytes, speed."""

import os
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import compressjax as cj
from compressjax import core, distill, measure, quant, recipe
from experiments import app, limits
from experiments.datasets import batch_indices
from experiments.pretrained import minilm, table, verses
from experiments.pretrained.model import Model
from experiments.reproduce import resumed
from experiments.reproduce.table import Claim

WORDS, PLACES = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
KERNELS = r"encoder\..*(query|key|value|dense)\.weight"


class Shared(NamedTuple):
    """What all rows share.

    Attributes:
        model: The teacher, with the retrieval as its evaluation.
        others: Sentences of other texts, as batches.
        tokens: `[n, length]`, to train on.
        mask: `[n, length]`.
        store: Of checkpoints.
        kept: Results of other rows, by name.
    """

    model: Model
    others: Any
    tokens: np.ndarray
    mask: np.ndarray
    store: recipe.Store
    kept: dict[str, Any]


def settings(config: Mapping[str, Any]) -> list[str]:
    """The teacher, its layers without training, the student, and the student in 8 and 4 bits."""
    return ["teacher", "copied", "student", *(name for name, _ in config["methods"])]


def prepare(launch: app.Launch) -> Shared:
    """The teacher, its texts, and the checkpoints."""
    config = launch.config
    limits.check(config["training"], resumed.LIMITS, "--config.training.")
    store = recipe.Store(launch.cache)
    own = config["minilm"]
    limits.check(own, {"verses": limits.Limit(2, own["held_out"], whole=True)}, "--config.minilm.")
    if own["tiny"]:
        model = minilm.tiny({"seed": 0, **own, **own["tiny"]})
        tokens, mask = model.evaluation[0]
        compare = verses.retrieval(np.arange(len(tokens)))
        return Shared(model._replace(compare=compare), model.calibration, *map(np.asarray, (tokens, mask)), store, {})
    model = minilm.load({**own, "books": ""})
    tokenizer = minilm.tokenizer(own["path"])
    found = verses.pairs(own["books"])
    drawn = np.random.default_rng(own["seed"]).permutation(len(found))
    chosen, rest = ([found[i] for i in part] for part in (drawn[: own["verses"]], drawn[own["held_out"] :]))
    texts = [old for old, _ in chosen] + [new for _, new in chosen]
    evaluation, order = minilm.in_batches(tokenizer, texts, lengths=own["lengths"])
    tokens, mask = _padded(tokenizer, [text for pair in rest for text in pair], own["length"])
    calibration = [(jnp.asarray(tokens[:64]), jnp.asarray(mask[:64]))]
    others = model.evaluation
    model = Model(model.params, model.fn, calibration, evaluation, verses.retrieval(order))
    return Shared(model, others, tokens, mask, store, {})


def _padded(tokenizer: Any, texts: list[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """The first tokens of every text, and where they are."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    ids = [e.ids for e in tokenizer.encode_batch(texts)]
    tokens = np.array([row + [0] * (length - len(row)) for row in ids], np.int32)
    return tokens, np.array([[1] * len(row) + [0] * (length - len(row)) for row in ids], np.int32)


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Makes one network, stores it, and measures it next to the teacher."""
    model, tree = shared.model, _tree(shared, config, name, seed)
    with tempfile.TemporaryDirectory() as folder:
        size = table.stored(tree, os.path.join(folder, "model.cjx"))
    lifted, dense = jax.jit(cj.lift(model.fn, on_fallback="ignore")), jax.jit(model.fn)
    vectors = model.outputs(lifted, tree)
    if "teacher" not in shared.kept:
        shared.kept["teacher"] = vectors if name == "teacher" else model.outputs(dense, model.params)
    found = model.compare(shared.kept["teacher"], vectors)
    cosines = [np.sum(np.asarray(dense(model.params, *b) * lifted(tree, *b)), axis=-1) for b in shared.others]
    return {
        "error": 100 * (1 - found["recall"]), "cosine": 100 * found["mean_cosine"],
        "cosine of other texts": 100 * float(np.concatenate(cosines).mean()), "MB": size / 1e6,
        "times smaller": table.plain(model.params) / size, "times faster": _faster(shared, config, tree),
    }  # fmt: skip


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """Within some points of the teacher, and so many times smaller and faster."""
    found = []
    for name, _ in config["methods"]:
        found.append(Claim(name, "teacher", None, config["points"]))
        found.append(Claim(name, "", config["smaller"], None, figure="times smaller"))
        found.append(Claim(name, "", config["faster"], None, figure="times faster"))
    return [*found, Claim("student", "copied", 0.0, None, figure="cosine of other texts")]


def copied(params: Mapping[str, jax.Array], layers: tuple[int, ...]) -> dict[str, jax.Array]:
    """Some layers of an encoder, numbered anew, and its embeddings; the vectors need no pooler and no table of ids."""
    found = {name: x for name, x in params.items() if name.startswith("embeddings.") and x.dtype == np.float32}
    for new, old in enumerate(layers):
        start = f"encoder.layer.{old}."
        own = {name.removeprefix(start): x for name, x in params.items() if name.startswith(start)}
        found |= {f"encoder.layer.{new}.{rest}": x for rest, x in own.items()}
    return found


def _tree(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, Any]:
    if name == "teacher":
        return shared.model.params
    start = copied(shared.model.params, config["layers"])
    if name == "copied":
        return start
    if "student" not in shared.kept:
        shared.kept["student"] = _student(shared, config, start, seed)
    student = shared.kept["student"]
    if name == "student":
        return student
    method = recipe.make(dict(config["methods"])[name])
    fn, calibration = shared.model.fn, shared.model.calibration
    layout = cj.layouts(cj.lift(fn, on_fallback="ignore"))(core.materialize(student), *calibration[0])
    stats = table.statistics(shared.model._replace(params=student)) if method.needs else None
    given = {"stats": stats} if stats is not None else {"layout": layout}
    return cj.compress(student, {KERNELS: method, PLACES: quant.rtn(8)}, **given)


def _student(shared: Shared, config: Mapping[str, Any], start: dict[str, Any], seed: int) -> dict[str, Any]:
    """Embeds words by few bits from the first step on, so that the layers learn to work with them."""
    words = cj.compress({WORDS: start[WORDS]}, {WORDS: recipe.make(config["words"])})
    training = config["training"]

    def draw(step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = batch_indices(seed, "distill", step, 1, training["batch"], len(shared.tokens))[0]
        return shared.tokens[rows], shared.mask[rows]

    rest = {name: x for name, x in start.items() if name != WORDS}
    fixed = {"teacher": shared.model.params, "words": core.materialize(words)}
    loss = losses(shared.model.fn, config["layers"], config["weights"])
    own = {name: x for name, x in config["minilm"].items() if name != "verses"}
    named = recipe.digest([training, own, *(config[name] for name in ("layers", "words", "weights"))])[:16]
    return {**words, **resumed.train(shared.store, f"student-{named}-{seed}", rest, loss, fixed, draw, training)}


def losses(fn: Any, layers: tuple[int, ...], weights: tuple[float, float, float]) -> resumed.Loss:
    """The loss of a student: vectors of sentences, hidden states between layers, relations in the batch.

    Args:
        fn: The encoder, `(params, tokens, mask) -> vectors`.
        layers: The layers of the teacher that the student has.
        weights: Of the cosine distance, of the mean square of hidden states, of `similarity_loss`.

    Returns:
        Function for `resumed.train`.
    """
    path = "encoder.layer.{}.attention.self.query.weight"  # its input is the output of the layer before
    pairs = {path.format(new): path.format(old + 1) for new, old in enumerate(layers[:-1], 1)}

    def tapped(names: Any, params: Any, tokens: Any, mask: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        if not names:
            return fn(params, tokens, mask), {}
        return distill.taps(fn, select=[name.replace(".", r"\.") for name in names], at="input")(params, tokens, mask)

    def loss(trained: Any, fixed: Any, batch: tuple[Any, ...]) -> jax.Array:
        theirs, outer = tapped(pairs.values(), fixed["teacher"], *batch)
        own, inner = tapped(pairs, {**fixed["words"], **trained}, *batch)
        hidden = [distill.hint_loss(inner[a], outer[b], weights=batch[1]) for a, b in pairs.items()]
        theirs = jax.lax.stop_gradient(theirs)
        parts = 1 - jnp.mean(jnp.sum(own * theirs, -1)), sum(hidden), distill.similarity_loss(own, theirs)
        return sum(w * x for w, x in zip(weights, parts, strict=True))

    return loss


def _faster(shared: Shared, config: Mapping[str, Any], tree: dict[str, Any]) -> float:
    """How many times faster than the teacher, in turn with it, on texts of one length."""
    model, rows = shared.model, slice(0, config["timing"]["rows"])
    batch = jnp.asarray(shared.tokens[rows]), jnp.asarray(shared.mask[rows])
    lifted, dense = jax.jit(cj.lift(model.fn, on_fallback="ignore")), jax.jit(model.fn)
    ready = cj.prepare(tree, model.fn, *batch) if any(map(core.is_node, tree.values())) else tree
    calls = (lambda: dense(model.params, *batch)), (lambda: lifted(ready, *batch))
    return measure.interleaved(*calls, warmup=1, rounds=config["timing"]["rounds"]).ratios[1].value
