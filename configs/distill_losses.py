"""One pair of convolutional networks under every loss of distillation: error, and the time of a step.

    python -m experiments.reproduce --config=configs/distill_losses.py --workdir=runs/distill_losses
    python -m experiments.reproduce --config=configs/distill_losses.py:mnist --workdir=runs/distill_losses_mnist

Teacher with 16 and 32 filters and 128 units, student with 4 and 8 filters and 16 units, on images of 14 x 14 pixels
(means of 2 x 2), three seeds, five epochs. Every loss is added to the cross-entropy; a step runs the teacher too, and
may take 1.15 times what plain training and the teacher take. Soft targets are no worse than none, DKD and DIST no worse
than they. No figure of a paper: the strengths of attention, VID, RKD, similarity, PKT and CRD are those in the scripts
of the authors of CRD (arXiv:1910.10699), the others are guesses, and none is tuned.
"""

from ml_collections import ConfigDict

from configs.common import arguments, distilled

STRENGTHS = (
    ("soft_target", 1.0), ("dkd", 1.0), ("dkd, beta 1", 1.0), ("dist", 2.0), ("hint", 1.0), ("vid", 1.0),
    ("attention_transfer", 1000.0), ("rkd_distance", 25.0), ("rkd_angle", 50.0), ("similarity", 3000.0), ("pkt", 500.0),
    ("info_nce", 0.8), ("crd", 0.8),
)  # fmt: skip


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "digits, hardly any steps, one seed", "mnist": "digits of MNIST"})
    smoke = "smoke" in words
    config = distilled(words)
    config.study = "distill_losses"
    large = {"filters": (4, 8), "width": 16} if smoke else {"filters": (16, 32), "width": 128}
    small = {"filters": (2, 4), "width": 8} if smoke else {"filters": (4, 8), "width": 16}
    config.teacher, config.student = {"name": "cnn", "settings": large}, {"name": "cnn", "settings": small}
    config.scan = False  # slow for convolutions on a CPU
    config.losses = STRENGTHS
    config.overhead = 1.15
    config.rounds = 2 if smoke else 20
    config.asked = (
        ("soft_target", "plain", None, 0.0), ("dkd", "soft_target", None, 0.0), ("dist", "soft_target", None, 0.0),
        ("dkd, beta 1", "soft_target", None, 0.0),
    )  # fmt: skip
    if smoke:
        config.asked = config.asked[:1]
        config.losses, config.steps, config.chunk = (("soft_target", 1.0), ("crd", 0.8)), 4, 2
    return config
