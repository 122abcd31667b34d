"""Meshes by their text: `data:4,model:2`."""

import math

import jax

from experiments.parallel import DATA, MODEL


def parse(text: str) -> dict[str, int]:
    """Sizes by axis.

    Args:
        text: Axes and their sizes, such as `data:4,model:2`.

    Returns:
        The sizes, in the order of the text.

    Raises:
        ValueError: If an axis is unknown, absent or given twice, or a size is no number.

    Example:
        >>> parse("data:4,model:2")
        {'data': 4, 'model': 2}
    """
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, _, size = part.partition(":")
        if name not in (DATA, MODEL) or name in sizes or not size.isdigit() or not int(size):
            raise ValueError(
                f"--mesh={text}: {part!r} is not an axis and its size; write {DATA}:4 (batches are split over it) or "
                f"{DATA}:4,{MODEL}:2 (arrays are split over {MODEL})"
            )
        sizes[name] = int(size)
    if DATA not in sizes:
        raise ValueError(f"--mesh={text} has no axis {DATA}; write {DATA}:1,{text}")
    return sizes


def make_mesh(devices: int = 0, text: str = "") -> jax.sharding.Mesh:
    """A mesh of some devices.

    Args:
        devices: Number of devices; all if 0.
        text: Its axes, see `parse`; one axis `data` if empty.

    Returns:
        The mesh.

    Raises:
        ValueError: If there are fewer devices, or the axes do not multiply to them.
    """
    present = jax.devices()
    if not 0 <= devices <= len(present):
        raise ValueError(
            f"--devices={devices}, but there are {len(present)}; lower it, or on a CPU set "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={devices}"
        )
    chosen = present[: devices or len(present)]
    sizes = parse(text) if text else {DATA: len(chosen)}
    if math.prod(sizes.values()) != len(chosen):
        product = " x ".join(map(str, sizes.values())) + " = " if len(sizes) > 1 else ""
        raise ValueError(
            f"--mesh={text} has {product}{math.prod(sizes.values())} devices, but there are {len(chosen)}; change "
            f"a size, name fewer with --devices, or on a CPU set XLA_FLAGS=--xla_force_host_platform_device_count="
            f"{math.prod(sizes.values())}"
        )
    axes = (jax.sharding.AxisType.Auto,) * len(sizes)
    return jax.make_mesh(tuple(sizes.values()), tuple(sizes), axis_types=axes, devices=chosen)
