"""A trained ResNet without its data: distillation (DAFL, arXiv:1904.01186) and calibration (ZeroQ, arXiv:2001.00281).

    python -m experiments.reproduce --config=configs/data_free_fashion_mnist.py --workdir=runs/data_free

A generator is trained against the teacher alone, which also remembers the moments of its data (DeepInversion,
arXiv:1912.08795); a smaller student learns from the teacher on generated images, and as a control on noise. The ranges
of int8 activations come from data, from inverted inputs, and from noise. Targets on Fashion-MNIST, three seeds: the
student keeps at least 90 % of the teacher's accuracy above chance; inverted inputs cost at most 0.3 points over data.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/data_free_fashion_mnist.py:smoke` is small."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = pruned("digits" if smoke else "fashion_mnist")
    config.study = "data_free"
    config.names = ("student, generated", "student, noise", "int8, data", "int8, inverted", "int8, noise")
    config.model = {"name": "resnet", "settings": {"widths": (16, 32, 64), "inner": (16, 32, 64)}}
    config.student = {"name": "vgg", "settings": {"groups": ((8,), (16,), (32,)), "width": 64}}
    config.batch, config.steps, config.learning_rate = 64, 1872, 2e-3  # 2 epochs
    config.generator = {
        "width": 16, "latent": 64, "batch": 64, "steps": 2500, "rates": (1e-3, 2e-3), "temperature": 4.0,
        "weights": {"confidence": 1.0, "activation": 0.1, "balance": 5.0, "moments": 1.0, "agreement": 1.0},
    }  # fmt: skip
    config.inversion = {"examples": 64, "steps": 100, "rate": 0.1}
    config.asked = (
        ("student, generated", "", 90.0, None, "", "above chance, % of dense"),
        ("int8, inverted", "int8, data", None, 0.3),
    )
    if smoke:
        config.model.settings = {"widths": (4, 4), "inner": (4, 4)}
        config.student.settings = {"groups": ((4,),), "width": 8}
        config.batch, config.steps, config.chunk = 32, 20, 20
        config.generator = {**config.generator, "width": 4, "latent": 4, "batch": 8, "steps": 3}
        config.inversion = {"examples": 8, "steps": 3, "rate": 0.1}
    return config
