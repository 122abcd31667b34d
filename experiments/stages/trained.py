"""Every method that acts in training, by name, with settings for a short run; parity is shown on this table."""

from typing import Any

LAYER = {"select": "Dense_0/kernel"}
_HALF = {"sparsity": 0.5, **LAYER}

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "dense": ("train", {}),
    "gradual": ("prune.gradual", {**_HALF, "end": 0.6, "every": 10}),
    "static": ("prune.static", _HALF),
    "ste": ("prune.ste", _HALF),
    "sr_ste": ("prune.sr_ste", {"pattern": "2:4", **LAYER}),
    "set": ("prune.set_", {**_HALF, "end": 0.6, "every": 20}),
    "rigl": ("prune.rigl", {**_HALF, "end": 0.6, "every": 20}),
    "topkast": ("prune.topkast", {**_HALF, "backward_sparsity": 0.3, "every": 20}),
    "acdc": ("prune.acdc", {**_HALF, "begin": 0, "every": 10, "end": 80}),
    "movement": ("prune.movement", {**_HALF, "end": 0.6, "every": 10}),
    "soft_movement": ("prune.soft_movement", {"penalty": 1e-3, **LAYER}),
    "l0": ("prune.l0", {"penalty": 1e-4, "end": 0.6, **LAYER}),
    "variational": ("prune.variational", {"examples": 1257, "end": 0.6, **LAYER}),
    "soft_threshold": ("prune.soft_threshold", LAYER),
    "proximal_l1": ("prune.proximal_l1", {"strength": 1e-4, **LAYER}),
    "proximal_group": ("prune.proximal_group", {"strength": 1e-4, **LAYER}),
    "proximal_nuclear": ("prune.proximal_nuclear", {"strength": 1e-4, "every": 10, **LAYER}),
    "snip": ("prune.one_shot", {"saliency": ("saliency.snip", {"batches": {"examples": 64}}), **_HALF}),
    "fake_quant": ("quant.fake_quant", {"bits": 4, **LAYER}),
    "lsq": ("quant.lsq", {"bits": 4, **LAYER}),
    "ttq": ("quant.ttq", LAYER),
    "dorefa": ("quant.dorefa", {"bits": 3, **LAYER}),
    "bitnet": ("quant.bitnet", LAYER),
    "binary_connect": ("quant.binary_connect", LAYER),
    "activations, dynamic": ("quant.activations", {"bits": 8, **LAYER}),
    "activations, moving": (
        "quant.activations",
        {"bits": 8, "method": "moving_average", "stats": {"examples": 64}, **LAYER},
    ),
    "activations, lsq": ("quant.activations", {"bits": 4, "method": "lsq", "stats": {"examples": 64}, **LAYER}),
    "activations, pact": ("quant.activations", {"bits": 4, "method": "pact", "limit": 4.0, **LAYER}),
    "gradual, lsq": (
        "prune.gradual",
        {
            "rules": (
                ("Dense_0/kernel", {"sparsity": 0.5, "end": 0.6, "every": 10}),
                ("Dense_1/kernel", ("quant.lsq", {"bits": 4})),
            )
        },
    ),
    "distill": ("distill", {"soft": 0.5}),
}
