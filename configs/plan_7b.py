"""Bytes, operations and memory a device of a model of seven billion parameters, on 64 and 1,024 devices, on paper.

    python -m experiments.plan --config=configs/plan_7b.py --workdir=runs/plan_7b

A decoder with the layers of GPT-2, 32 of width 4,096, trained on four million tokens a step with Adam: float32 state,
bfloat16 products, layers computed again in the backward pass. Shapes come from `jax.eval_shape` and operations from
XLA's cost analysis; nothing is allocated or compiled. Target: under 60 seconds.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The plan; `configs/plan_7b.py:smoke` is of a tiny model."""
    smoke = "smoke" in arguments(text, {"smoke": "a tiny model"})
    config = ConfigDict()
    config.model = {"vocabulary": 32000, "length": 2048, "width": 4096, "depth": 32, "heads": 32}
    config.devices = (64, 1024)
    config.sequences = 2048  # a step, over all devices
    config.compute = "bfloat16"
    # Devices that share one copy of the state (0 for all), and what copies send each other.
    config.layouts = (
        ("data parallel", 1, None),
        ("sharded over all", 0, None),
        ("sharded over 64", 64, None),
        ("sharded over 64, bfloat16", 64, ("rounded", {"dtype": "bfloat16"})),
        ("sharded over 64, PowerSGD rank 4", 64, ("power", {"rank": 4})),
        ("sharded over 64, top-k 1 %", 64, ("top_k", {"share": 0.01, "dtype": "int8", "route": "two-phase"})),
    )
    if smoke:
        config.model = {"vocabulary": 64, "length": 16, "width": 32, "depth": 2, "heads": 2}
        config.devices, config.sequences = (4, 8), 16
        config.layouts = (
            ("data parallel", 1, None), ("sharded over all", 0, None), ("sharded over 4", 4, ("power", {"rank": 1})),
        )  # fmt: skip
    return config
