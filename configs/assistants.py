"""Teacher assistants (Mirzadeh et al., arXiv:1902.03393) over a gap of 150 in parameters.

    python -m experiments.reproduce --config=configs/assistants.py --workdir=runs/assistants
    python -m experiments.reproduce --config=configs/assistants.py:mnist --workdir=runs/assistants_mnist

Dense networks with two hidden layers of 1200 (the teacher) and 20 units, three seeds, five epochs each: no teacher, the
teacher itself, and chains through one and two assistants, new ones or ones cut from the teacher (`cut`). Target: a
chain is no worse than the teacher itself.
"""

from ml_collections import ConfigDict

from configs.common import arguments, distilled


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "digits, hardly any steps, one seed", "mnist": "digits of MNIST"})
    smoke = "smoke" in words
    config = distilled(words)
    config.study = "assistants"
    config.teacher, config.student, config.depth = (32, 4, 2) if smoke else (1200, 20, 2)
    config.counts = (1,) if smoke else (1, 2)
    config.temperature = 4.0
    config.alpha = 0.9
    config.shift = 1 if smoke else 2 if "mnist" in words else 0
    config.asked = tuple((f"chain {n}", "direct", None, 0.0) for n in config.counts)
    return config
