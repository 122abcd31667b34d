"""A residual network taught by one with twice to four times its filters: soft targets against DKD and DIST.

    python -m experiments.reproduce --config=configs/distill_resnets.py --workdir=runs/distill_resnets

Teacher with 16, 32 and 64 filters, student with 8, 8 and 16, both with BatchNorm, on Fashion-MNIST, three seeds, three
epochs. Every loss is added to the cross-entropy. Targets: DKD (arXiv:2203.08679) and DIST (arXiv:2205.10536) are no
worse than soft targets. DKD has beta = 8, its authors' for most pairs, and 1.
"""

from ml_collections import ConfigDict

from configs.common import arguments, distilled


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "digits, hardly any steps, one seed", "mnist": "digits of MNIST"})
    smoke = "smoke" in words
    config = distilled(words)
    config.study = "resnet_pair"
    large, small = ((4, 4), (2, 2)) if smoke else ((16, 32, 64), (8, 8, 16))
    config.teacher = {"name": "resnet", "settings": {"widths": large, "inner": large}}
    config.student = {"name": "resnet", "settings": {"widths": small, "inner": small}}
    config.strength = 1.0
    if not smoke:
        config.steps = 1404
    config.asked = tuple((name, "soft targets", None, 0.0) for name in ("DKD", "DKD, beta 1", "DIST"))
    return config
