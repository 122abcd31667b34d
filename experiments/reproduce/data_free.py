"""A trained network without its data: a student from generated images, and ranges of activations from inverted ones."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.scipy.special import rel_entr

import compressjax as cj
from compressjax import distill, generate, quant
from experiments import app, limits, models
from experiments.datasets import drawn_rows
from experiments.problem import Problem, make_problem, standardized_apply, wrong_percent
from experiments.reproduce.features import with_features
from experiments.reproduce.loop import check, train_statistics
from experiments.reproduce.samplers import top
from experiments.reproduce.table import Claim, asked

KERNELS = ".*kernel"
NAMES = ("student, generated", "student, noise", "int8, data", "int8, inverted", "int8, noise")


class Shared(NamedTuple):
    """Network and data, and by seed the trained teachers."""

    problem: Problem
    trained: dict[int, Any]


class Fooled(NamedTuple):
    """What changes while a generator and a student learn."""

    generator: Any
    student: Any
    optimizers: tuple[Any, Any]


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, the teacher; its students without data; the teacher in int8 by what calibrates it."""
    return ["dense", *config["names"]]


def prepare(launch: app.Launch) -> Shared:
    """Data and teacher; refuses bad settings."""
    config = launch.config
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    examples = limits.Limit(1, len(problem.data.train_labels), whole=True)
    check(config, len(problem.data.train_labels))
    models.create(config["student"]["name"], config["student"]["settings"])
    counts = {"width": limits.COUNT, "latent": limits.COUNT, "batch": limits.COUNT, "steps": limits.COUNT}
    limits.check(config["generator"], {**counts, "temperature": limits.POSITIVE}, "--config.generator.")
    limits.check(config["inversion"], {"examples": examples, "steps": limits.COUNT}, "--config.inversion.")
    if unknown := sorted(set(config["names"]) - set(NAMES)):
        raise ValueError(f"--config.names: {unknown[0]!r} does not exist; choose from {NAMES}")
    if "batch_stats" not in jax.eval_shape(problem.initial_params):
        raise ValueError(f"--config.model.name={config['model']['name']!r} has no BatchNorm to invert; choose resnet")
    return Shared(problem, {})


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains the teacher of a seed once, then a student, or calibrates its activations."""
    problem = shared.problem._replace(seed=seed)
    if seed not in shared.trained:
        shared.trained[seed] = train_statistics(problem, config)
    teacher = shared.trained[seed]
    wrong = wrong_percent(problem, problem.apply, teacher)
    found = wrong
    if name.startswith("student"):
        found = wrong_percent(problem, *taught(problem, config, teacher, generated=name == NAMES[0]))
    elif name.startswith("int8"):
        images = calibration(problem, config, teacher, name.rpartition(" ")[2])
        _, stats = jax.jit(cj.observe(problem.apply, select=KERNELS))(teacher, images)
        small = cj.compress(teacher, {KERNELS: quant.rtn(8, activation="static")}, stats)
        found = wrong_percent(problem, cj.lift(problem.apply, on_fallback="ignore"), small)
    chance = 100 - 100 / problem.data.classes
    return {"error": found, "above chance, % of dense": 100 * (chance - found) / (chance - wrong)}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The config's targets for the settings of the grid."""
    return asked(config, settings(config))


def taught(
    problem: Problem, config: Mapping[str, Any], teacher: Any, *, generated: bool
) -> tuple[Callable[..., jax.Array], Any]:
    """A student that learns from the teacher on images of a generator, or on noise: its function and parameters."""
    settings, image = config["generator"], problem.data.train_images[:1]
    model = models.create(config["student"]["name"], config["student"]["settings"])
    apply = standardized_apply(model, problem.data.mean, problem.data.std)
    generator = generate.DCGANGenerator(image.shape[1], width=settings["width"])
    optimizers = tuple(optax.adam(optax.cosine_decay_schedule(rate, settings["steps"])) for rate in settings["rates"])
    bright = top(problem)

    def make(params: Any, rest: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        """Images in the range of the data's pixels, and the statistics of the generator after them."""
        if not generated:
            return bright * jax.random.uniform(key, (settings["batch"], *image.shape[1:])), rest
        z = jax.random.normal(key, (settings["batch"], settings["latent"]))
        made, rest = generator.apply({**rest, "params": params}, z, train=True, mutable=["batch_stats"])
        return (made + 1) * bright / 2, rest

    @functools.partial(jax.jit, donate_argnums=0)
    def step(now: Fooled, key: jax.Array) -> Fooled:
        rest = {"batch_stats": now.generator["batch_stats"]}

        def pleasing(params: Any) -> tuple[jax.Array, Any]:
            images, moved = make(params, rest, key)
            own = apply(now.student, images)
            return generator_loss(problem, teacher, images, settings["weights"], own), (images, moved)

        slopes, (images, moved) = jax.grad(pleasing, has_aux=True)(now.generator["params"])
        soft = problem.apply(teacher, images)

        def following(params: Any) -> jax.Array:
            return distill.soft_target_loss(apply(params, images), soft, temperature=settings["temperature"])

        first, one = optimizers[0].update(slopes, now.optimizers[0])
        second, two = optimizers[1].update(jax.grad(following)(now.student), now.optimizers[1])
        made = optax.apply_updates(now.generator["params"], first)
        return Fooled({**moved, "params": made}, optax.apply_updates(now.student, second), (one, two))

    keys = jax.random.split(problem.key("data-free"), settings["steps"] + 2)
    made = generator.init(keys[0], jnp.zeros((2, settings["latent"])))
    student = model.init(keys[1], problem.standardized(image))["params"]
    now = Fooled(made, student, (optimizers[0].init(made["params"]), optimizers[1].init(student)))
    for key in keys[2:]:  # outside of a loop, in which XLA's convolutions are slow on a CPU
        now = step(now, key)
    return apply, now.student


def generator_loss(
    problem: Problem, teacher: Any, images: jax.Array, weights: Mapping[str, float], student: jax.Array
) -> jax.Array:
    """A weighted sum, with the logits of the student: samples where it agrees with the teacher teach nothing more.

    Parts are those of `data_free_losses`, the distance from the moments that BatchNorm remembers, and the negative
    Jensen-Shannon divergence of student and teacher.
    """
    logits, features = with_features(problem.apply)(teacher, images)
    parts = generate.data_free_losses(logits, features)._asdict()
    parts["moments"] = generate.moment_loss(generate.norm_moments(problem.model, teacher, problem.standardized(images)))
    pair = [jax.nn.softmax(z) for z in (logits, student)]
    parts["agreement"] = -sum(jnp.mean(jnp.sum(rel_entr(p, sum(pair) / 2), -1)) for p in pair) / 2
    return jnp.sum(jnp.stack([weight * parts[name] for name, weight in weights.items()]))


def calibration(problem: Problem, config: Mapping[str, Any], teacher: Any, kind: str) -> Any:
    """Images that say how large activations become: of the data, of the teacher's memory, or uniform noise."""
    settings, data, key = config["inversion"], problem.data, problem.key("inversion")
    shape = (settings["examples"], *data.train_images.shape[1:])
    if kind == "data":
        rows = drawn_rows(problem.seed, settings["examples"], len(data.train_labels))
        return jnp.asarray(data.train_images[rows], jnp.float32)
    bright = top(problem)
    if kind == "noise":
        return bright * jax.random.uniform(key, shape)

    def loss(x: jax.Array) -> jax.Array:
        return generate.moment_loss(generate.norm_moments(problem.model, teacher, x))

    low, high = ((x - data.mean) / data.std for x in (0.0, bright))
    start = jax.random.normal(key, shape)
    found, _ = generate.invert(loss, start, steps=settings["steps"], rate=settings["rate"], low=low, high=high)
    return found * data.std + data.mean
