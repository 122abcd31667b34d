"""Ten labels a class: a teacher labels the rest of the data for a small student (FixMatch, arXiv:2001.07685).

    python -m experiments.reproduce --config=configs/few_labels.py --workdir=runs/few_labels
    python -m experiments.reproduce --config=configs/few_labels.py:mnist --workdir=runs/few_labels_mnist
    python -m experiments.reproduce --config=configs/few_labels.py:cnn --workdir=runs/few_labels_cnn

A dense teacher 784-300-100, trained on 100 labels, five of them, or one by FixMatch on these and on all images; a
student 784-30-30 on the 100 labels, on the labels of each teacher (soft; hard; certain ones; as many of every class,
arXiv:1911.04252), and on all true labels. Three seeds, as many steps for all, images shifted at random for all. Target:
soft labels of a teacher are 3 points better than the 100 labels alone. With `:cnn` the one teacher has three
convolutions, and learns more from 100 images than a dense one.
"""

from ml_collections import ConfigDict

from configs.common import arguments, distilled


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    choices = {"smoke": "digits, hardly any steps, one seed", "mnist": "digits of MNIST", "cnn": "another teacher"}
    words = arguments(text, choices)
    smoke = "smoke" in words
    config = distilled(words)
    config.study = "few_labels"
    config.teacher = {"name": "mlp", "settings": {"widths": (32,) if smoke else (300, 100)}}
    config.student = {"name": "mlp", "settings": {"widths": (8,) if smoke else (30, 30)}}
    config.teachers = ("teacher", "ensemble", "teacher, FixMatch")
    if "cnn" in words:
        groups = ((2,), (4,)) if smoke else ((16,), (32,), (64,))
        config.teacher = {"name": "vgg", "settings": {"groups": groups, "width": 8 if smoke else 128}}
        config.teachers, config.scan = ("teacher",), False  # slow for convolutions on a CPU
    config.labels = 10
    config.ensemble = 2 if smoke else 5
    config.temperature = 1.0
    config.threshold = 0.2 if smoke else 0.95
    config.balanced = 20 if smoke else 2000
    config.shift = 1 if smoke else 2
    config.cutout = 2 if smoke else 12
    config.asked = tuple((f"soft labels of {teacher}", "few labels", None, -3.0) for teacher in config.teachers)
    return config
