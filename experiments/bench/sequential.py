"""Peak memory and time of sequential GPTQ: `python -m experiments.bench.sequential LAYERS WIDTH TOKENS`.

Prints one line before the first step and one for every step, with peak memory expected and measured, then the peak that
calibration adds, as a multiple of the float32 weights.
"""

import sys
import time
from typing import NamedTuple

import jax
import numpy as np

import compressjax as cj
from compressjax import quant
from compressjax.calibration import Progress
from experiments.bench.compressing import encode, encoder, normal
from experiments.bench.peak import resident, start


class Cost(NamedTuple):
    """What a calibration takes.

    Attributes:
        multiple: The model and the most memory that calibration adds, over the bytes of the model.
        expected: The same, as expected before the first step.
        seconds: Time, compilation included.
    """

    multiple: float
    expected: float
    seconds: float


def cost(layers: int, width: int, tokens: int, bits: int = 4) -> Cost:
    """Measures sequential GPTQ on a transformer, on four batches of sequences of 128 tokens.

    Args:
        layers: Layers of attention and feed-forward kernels.
        width: Width of the residual stream; the feed-forward kernels have four times as many units.
        tokens: Tokens of all batches together.
        bits: Bits of a weight.

    Returns:
        Peak memory and time. The weights and the batches are there before; everything else counts, programs included.
    """
    draw = np.random.default_rng(0)
    params = encoder(draw, {"layers": layers, "width": width, "inner": 4 * width, "words": 1})
    del params["words"]
    batches = [(normal(draw, tokens // 512, 128, width),) for _ in range(4)]
    model = sum(4 * x.size for x in jax.block_until_ready(params).values())
    before, began, expected = start(), time.perf_counter(), []

    def tell(state: Progress) -> None:
        expected.append(state.expected)
        print(state._replace(peak=resident("VmHWM")), flush=True)

    tree = jax.block_until_ready(cj.calibrate(encode, params, batches, quant.gptq(bits), progress=tell))
    seconds = time.perf_counter() - began
    added = resident("VmHWM") - before
    del tree
    return Cost((added + model) / model, (expected[0] - before + model) / model, seconds)


if __name__ == "__main__":
    found = cost(*map(int, sys.argv[1:4]))
    print(f"peak: {found.multiple:.2f} times the weights, {found.expected:.2f} expected; {found.seconds:.0f} s")
