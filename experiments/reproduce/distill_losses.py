"""One pair of convolutional networks under every loss of distillation: error, and the time of a step."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import distill, measure
from experiments import app, limits
from experiments.datasets import drawn_rows
from experiments.problem import Problem, cross_entropy, make_problem
from experiments.reproduce.loop import Data, check, data_of
from experiments.reproduce.table import Claim
from experiments.reproduce.taught import Network, Taught, gap_closed, network, teach

MAPS, FEATURES = "Conv_1/kernel", "Dense_0/kernel"  # products whose outputs are compared, of both networks
OVERHEAD = "times teacher and plain step"
_NEGATIVES = 512


class Seen(NamedTuple):
    """What a loss reads of one network on a batch: logits, maps of a convolution, features of a dense layer."""

    logits: jax.Array
    maps: jax.Array
    features: jax.Array


class Memory(NamedTuple):
    """Features of the teacher on some examples, and how many there are to draw from."""

    features: jax.Array
    examples: int


class Shared(NamedTuple):
    """Network and data, and by seed the teachers and the errors of plain students."""

    problem: Problem
    data: Data
    teachers: dict[int, Taught]
    plain: dict[int, float]


Loss = Callable[[Seen, Seen, jax.Array, Any, Memory], jax.Array]

# Loss of (student, teacher, labels, heads, memory of the teacher's features); each is added to the cross-entropy.
LOSSES: dict[str, Loss] = {
    "soft_target": lambda s, t, y, h, m: distill.soft_target_loss(s.logits, t.logits, temperature=4.0),
    "dkd": lambda s, t, y, h, m: distill.dkd_loss(s.logits, t.logits, y),
    "dkd, beta 1": lambda s, t, y, h, m: distill.dkd_loss(s.logits, t.logits, y, beta=1.0),
    "dist": lambda s, t, y, h, m: distill.dist_loss(s.logits, t.logits),
    "hint": lambda s, t, y, h, m: distill.hint_loss(s.features, t.features, h),
    "vid": lambda s, t, y, h, m: distill.vid_loss(s.features, t.features, h),
    "attention_transfer": lambda s, t, y, h, m: distill.attention_transfer_loss(s.maps, t.maps),
    "rkd_distance": lambda s, t, y, h, m: distill.rkd_distance_loss(s.features, t.features),
    "rkd_angle": lambda s, t, y, h, m: distill.rkd_angle_loss(s.features, t.features),
    "similarity": lambda s, t, y, h, m: distill.similarity_loss(s.features, t.features),
    "pkt": lambda s, t, y, h, m: distill.pkt_loss(s.features, t.features),
    "info_nce": lambda s, t, y, h, m: distill.info_nce_loss(s.features, t.features, h),
    "crd": lambda s, t, y, h, m: distill.crd_loss(
        s.features, t.features, distill.contrastive_features(m.features, h["teacher"]), h, examples=m.examples
    ),
}  # fmt: skip
HEADS: dict[str, Callable[[jax.Array, int, int], Any]] = {
    "hint": distill.init_hint, "vid": distill.init_vid, "info_nce": distill.init_contrastive,
    "crd": distill.init_contrastive,
}  # fmt: skip


def settings(config: Mapping[str, Any]) -> list[str]:
    """`teacher`, `plain`, and the losses of the config."""
    return ["teacher", "plain", *(name for name, _ in config["losses"])]


def prepare(launch: app.Launch) -> Shared:
    """Data, every 2 x 2 pixels averaged so that a cell is short, and networks."""
    config = launch.config
    problem = make_problem({**config, "model": config["student"], "seed": 0}, launch.data_cache, launch.mesh)
    check(config, len(problem.data.train_labels))
    if unknown := [name for name, _ in config["losses"] if name not in LOSSES]:
        raise ValueError(f"--config.losses: {unknown[0]!r} does not exist; choose from {', '.join(LOSSES)}")
    for name, strength in config["losses"]:
        limits.check({name: strength}, {name: limits.POSITIVE}, "--config.losses: ")
    held = problem.data._replace(
        train_images=halved(problem.data.train_images), test_images=halved(problem.data.test_images)
    )
    problem = problem._replace(data=held, images=jnp.asarray(held.train_images))
    network(problem, config["teacher"], 0)  # refuses bad settings before training
    return Shared(problem, data_of(problem), {}, {})


def halved(images: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels of `[n, height, width, 1]`; an odd last row or column is dropped."""
    n, height, width, channels = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4)).round().astype(np.uint8)


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains one student; the teacher and the plain student of a seed once for all."""
    problem = shared.problem
    if name == "plain":
        return {"error": _plain(shared, config, seed)}
    teacher = _teacher(shared, config, seed)
    if name == "teacher":
        return {"error": teacher.error}
    student = network(problem, config["student"], seed)
    start, loss = _start(shared, config, teacher.network, student, name, seed)
    times = step_times(config, teacher.network, student, start, loss, shared.data)
    done = teach(problem, start, shared.data, config, seed=seed, loss=loss)
    closed = gap_closed(teacher.error, _plain(shared, config, seed), done.error)
    return {"error": done.error, **closed, "step, ms": times[1], OVERHEAD: times[1] / times[0]}


def _start(
    shared: Shared, config: Mapping[str, Any], teacher: Network, student: Network, name: str, seed: int
) -> tuple[Network, Callable[..., jax.Array]]:
    """A student with its heads, and its loss. The teacher runs in every step."""
    strength, images = dict(config["losses"])[name], shared.data.train
    own, its = _seen(student.apply), _seen(teacher.apply)
    rows = drawn_rows(seed, _NEGATIVES, len(images))
    memory = Memory(jax.jit(lambda x: its(teacher.params, x).features)(images[rows]), len(images))
    widths = (jax.eval_shape(own, student.params, images[:1]).features.shape[-1], memory.features.shape[-1])
    heads = HEADS[name](jax.random.key(seed), *widths) if name in HEADS else {}

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        seen = own(params["net"], x)
        entropy = distill.soft_target_loss(seen.logits, seen.logits, y, alpha=0.0)
        return entropy + strength * LOSSES[name](seen, its(teacher.params, x), y, params["heads"], memory)

    start = {"net": student.params, "heads": heads}
    return Network(lambda params, x: student.apply(params["net"], x), start), loss


def _seen(apply: Callable[[Any, jax.Array], jax.Array]) -> Callable[[Any, jax.Array], Seen]:
    """The function with what losses read."""
    tapped = distill.taps(apply, select=f"{MAPS}|{FEATURES}")

    def seen(params: Any, x: jax.Array) -> Seen:
        logits, found = tapped(params, x)
        return Seen(logits, found[MAPS], found[FEATURES])

    return seen


def step_times(
    config: Mapping[str, Any],
    teacher: Network,
    student: Network,
    start: Network,
    loss: Callable[..., jax.Array],
    data: Data,
) -> tuple[float, float]:
    """Milliseconds of a batch: gradients of plain training and logits of the teacher; gradients of the loss."""
    entropy, batch = cross_entropy(student.apply), (data.train[: config["batch"]], data.train_labels[: config["batch"]])
    least = jax.jit(lambda params, batch: (jax.grad(entropy)(params, batch), teacher.apply(teacher.params, batch[0])))
    taught = jax.jit(jax.grad(loss))
    found = measure.interleaved(
        lambda: least(student.params, batch), lambda: taught(start.params, *batch), rounds=config["rounds"]
    )
    return 1e3 * found.medians[0], 1e3 * found.medians[1]


def _teacher(shared: Shared, config: Mapping[str, Any], seed: int) -> Taught:
    if seed not in shared.teachers:
        start = network(shared.problem, config["teacher"], seed)
        shared.teachers[seed] = teach(shared.problem, start, shared.data, config, seed=seed)
    return shared.teachers[seed]


def _plain(shared: Shared, config: Mapping[str, Any], seed: int) -> float:
    if seed not in shared.plain:
        start = network(shared.problem, config["student"], seed)
        shared.plain[seed] = teach(shared.problem, start, shared.data, config, seed=seed).error
    return shared.plain[seed]


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config, and what every loss may cost."""
    cost = [Claim(name, "", None, config["overhead"], "", OVERHEAD) for name, _ in config["losses"]]
    return [*(Claim(*row) for row in config["asked"]), *cost]
