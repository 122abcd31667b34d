"""Lossless files of test images: a variational autoencoder with bits back, beside PNG and WebP."""

import io
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image

from compressjax import generate, theory
from experiments import app, limits
from experiments.datasets import batch_indices, white
from experiments.problem import Problem, make_problem
from experiments.reproduce.levels import log_probs
from experiments.reproduce.table import Claim

CODER = "VAE, bits back"
PEERS = {"PNG": {"optimize": True}, "WebP": {"lossless": True, "method": 6}}
WIDEST = 16380  # rows of a strip; WebP has at most 16,383
LIMITS = {
    "width": limits.COUNT, "latent": limits.COUNT, "mixture": limits.COUNT, "group": limits.COUNT,
    "learning_rate": limits.POSITIVE, "epochs": limits.POSITIVE,
}  # fmt: skip


class Shared(NamedTuple):
    """The data, and by peer its bits a pixel, which need no seed."""

    problem: Problem
    peers: dict[str, dict[str, float]]


def settings(config: Mapping[str, Any]) -> list[str]:
    """The coder, then each format with a file an image and with all images in strips."""
    del config
    return [CODER, *(f"{name}, {way}" for name in PEERS for way in ("a file an image", "strips"))]


def prepare(launch: app.Launch) -> Shared:
    """Data; refuses bad settings."""
    config = launch.config
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    rows = {"batch": len(problem.data.train_labels), "images": len(problem.data.test_labels)}
    counts = {name: limits.Limit(1, most, whole=True) for name, most in rows.items()}
    limits.check(config, {**LIMITS, **counts, "quality": limits.Limit(0, 100, whole=True)}, "--config.")
    if config["images"] % config["group"]:
        raise ValueError(f"--config.group={config['group']} must divide --config.images={config['images']}")
    return Shared(problem, {})


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains, codes, decodes and compares; or writes the files of a format."""
    images = shared.problem.data.test_images[: config["images"]]
    if name == CODER:
        return _coded(shared.problem._replace(seed=seed), config, images)
    if name not in shared.peers:
        shared.peers[name] = {"bits a pixel": _peer(name, images[..., 0], config["quality"])}
    return shared.peers[name]


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]


class Coder:
    """An autoencoder whose decoder gives a mixture a pixel."""

    def __init__(self, problem: Problem, config: Mapping[str, Any]) -> None:
        """The network, at its random start."""
        self.problem, self.config = problem, config
        self.pixels, self.top = problem.data.train_images[0].size, white(problem.data.name)
        self.model = generate.VAE((self.pixels, 1, 3 * config["mixture"]), config["latent"], config["width"])
        key = problem.key("vae")
        self.variables = self.model.init(key, jnp.zeros((1, self.pixels)), key)

    def bound(self, variables: Any, rows: jax.Array, key: jax.Array) -> jax.Array:
        """The evidence lower bound of rows `[n, pixels]`, as bits a pixel."""
        mixtures, mean, log_variance = self.model.apply(variables, rows / self.top, key)
        inside = log_probs(mixtures[:, :, 0], rows, self.top).sum(-1)
        away = 0.5 * (mean**2 + jnp.exp(log_variance) - log_variance - 1).sum(-1)
        return (away - inside).mean() / self.pixels / np.log(2)

    def train(self) -> None:
        """Adam with a cosine."""
        count, batch = len(self.problem.labels), self.config["batch"]
        steps = max(1, round(self.config["epochs"] * count / batch))
        optimizer = optax.adam(optax.cosine_decay_schedule(self.config["learning_rate"], steps))
        images, key = self.problem.images.reshape(count, -1), self.problem.key("codes")

        @jax.jit
        def part(images: jax.Array, carry: Any, places: jax.Array) -> Any:
            def step(carry: Any, rows: jax.Array) -> tuple[Any, None]:
                variables, state, number = carry
                grads = jax.grad(self.bound)(variables, images[rows], jax.random.fold_in(key, number))
                updates, state = optimizer.update(grads, state)
                return (optax.apply_updates(variables, updates), state, number + 1), None

            return jax.lax.scan(step, carry, places)[0]

        carry = self.variables, optimizer.init(self.variables), np.int32(0)
        for places in np.array_split(
            batch_indices(self.problem.seed, "vae", 0, steps, batch, count), max(1, steps // 500)
        ):
            carry = part(images, carry, places)
        self.variables = carry[0]

    def functions(self, group: int) -> theory.BitsBack:
        """Posterior and likelihood of a row that is a group of images."""
        latent = self.config["latent"]

        @jax.jit
        def read(variables: Any, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
            mean, log_variance = self.model.apply(variables, rows / self.top, method="encode")
            return mean.reshape(-1), jnp.exp(log_variance / 2).reshape(-1)

        @jax.jit
        def write(variables: Any, codes: jax.Array) -> jax.Array:
            mixtures = self.model.apply(variables, codes, method="decode").reshape(-1, 1, 3 * self.config["mixture"])
            return jnp.exp(log_probs(mixtures, jnp.arange(self.top + 1), self.top))

        def posterior(row: np.ndarray) -> tuple[jax.Array, jax.Array]:
            return read(self.variables, row.reshape(group, self.pixels).astype(np.int32))

        def likelihood(codes: np.ndarray) -> jax.Array:
            return write(self.variables, codes.reshape(group, latent).astype(np.float32))

        return theory.BitsBack(posterior, likelihood, group * latent)


def _coded(problem: Problem, config: Mapping[str, Any], images: np.ndarray) -> dict[str, float]:
    """Bits a pixel of the stream, noise of its start included, beside the bound."""
    began, coder, group = time.process_time(), Coder(problem, config), config["group"]
    coder.train()
    trained, rows = time.process_time(), images.reshape(len(images), -1)
    functions, groups = coder.functions(group), rows.reshape(len(rows) // group, -1)
    data = theory.encode_rows(groups, functions)
    coded = time.process_time()
    if not np.array_equal(theory.decode_rows(data, functions, len(groups)), groups):
        raise ValueError("the decoder gave other images; this is an error of the coder, please report it")
    bound = jax.jit(coder.bound)
    parts = [float(bound(coder.variables, part, problem.key("test"))) for part in rows.reshape(-1, group, coder.pixels)]
    found = 8 * len(data) / rows.size
    return {
        "bits a pixel": found,
        "bound, bits": float(np.mean(parts)),
        "over the bound, %": 100 * (found / float(np.mean(parts)) - 1),
        "model, kB": 4 * sum(x.size for x in jax.tree.leaves(coder.variables)) / 1000,
        "training, CPU minutes": (trained - began) / 60,
        "coding, CPU minutes": (coded - trained) / 60,
    }


def _peer(name: str, images: np.ndarray, quality: int) -> float:
    """Bits a pixel of the files of a format."""
    kind, _, way = name.partition(", ")
    options = PEERS[kind] | ({"quality": quality} if kind == "WebP" else {})
    high = max(1, WIDEST // images.shape[1])
    parts = images if way != "strips" else [
        images[i : i + high].reshape(-1, images.shape[2]) for i in range(0, len(images), high)
    ]  # fmt: skip
    return 8 * sum(_size(part, kind, options) for part in parts) / images.size


def _size(image: np.ndarray, kind: str, options: Mapping[str, Any]) -> int:
    """Bytes of a file that gives the image back."""
    place = io.BytesIO()
    Image.fromarray(image).save(place, kind, **options)
    if not np.array_equal(np.asarray(Image.open(place).convert("L")), image):
        raise ValueError(f"a file of {kind} gave another image; this is an error of Pillow {Image.__version__}")
    return len(place.getvalue())
