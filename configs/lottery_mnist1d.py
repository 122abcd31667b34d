"""Lottery tickets (Frankle and Carbin, arXiv:1803.03635) on MNIST-1D (Greydanus and Kobak, arXiv:2011.14439).

    python -m experiments.reproduce --config=configs/lottery_mnist1d.py --workdir=runs/lottery

Target: at 90 and 92 %, tickets with at most 28 % error, 5 points below the dense network and 8 below random masks. The
table also has the notebook's log (test accuracy of two trials, best of each training run).
"""

from ml_collections import ConfigDict

from configs.common import arguments

SPARSITIES = (0.4, 0.6, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
TICKET = (
    (66.0, 68.4), (69.3, 69.7), (72.9, 72.1), (74.2, 73.4), (74.3, 74.1), (76.1, 74.4), (72.1, 74.3), (71.8, 70.8),
    (70.4, 71.5), (69.0, 68.3), (63.9, 65.0), (41.9, 42.4),
)  # fmt: skip
RANDOM = (
    (65.5, 66.4), (66.3, 65.2), (70.4, 69.7), (66.4, 68.1), (64.6, 65.7), (61.1, 62.4), (58.0, 60.4), (58.0, 56.1),
    (51.5, 50.3), (41.2, 43.9), (35.0, 27.4), (16.9, 17.1),
)  # fmt: skip


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/lottery_mnist1d.py:smoke` has few steps, two sparsities and one seed."""
    smoke = "smoke" in arguments(text, {"smoke": "hardly any steps, two sparsities, one seed"})
    config = ConfigDict()
    config.study = "lottery"
    config.seeds = (0, 1, 2)
    config.width = 500
    config.batch = 100
    config.steps = 1500
    config.chunk = 100
    config.learning_rate = 2e-2
    config.cosine = False
    config.sparsities = SPARSITIES
    config.promised = (0.9, 0.92)
    # Rows of arm, sparsity, and the two accuracies of the log.
    config.paper = tuple(
        (arm, sparsity, *pair)
        for arm, rows in (("ticket", TICKET), ("random", RANDOM))
        for sparsity, pair in zip(SPARSITIES, rows, strict=True)
    )
    if smoke:
        config.seeds, config.sparsities, config.promised = (0,), (0.4, 0.6), (0.6,)
        config.width, config.steps, config.chunk = 20, 20, 10
    return config
