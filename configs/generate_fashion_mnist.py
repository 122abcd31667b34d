"""Images from a DCGAN (arXiv:1511.06434) and from simpler samplers on Fashion-MNIST, judged by a classifier.

    python -m experiments.reproduce --config=configs/generate_fashion_mnist.py --workdir=runs/generate

Distances are Fréchet distances from the test images in the features of a LeNet-300-100; `samples.png` and
`interpolation.png` show the first seed. Target: the GAN is at least 5 times nearer than noise, nearer than a Gaussian
of principal components, and takes at most 20 minutes on two cores. The last rows train the classifier on 1,000 labels,
on these and GAN samples, and on GAN samples alone. The GAN has seen all labels: they say what its samples carry, not
what augmentation adds.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/generate_fashion_mnist.py:smoke` is small."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = pruned("digits" if smoke else "fashion_mnist")
    config.study = "generation"
    config.steps = 40 if smoke else 2340  # of the classifier, 5 epochs
    config.components = 16 if smoke else 64
    config.samples = 60 if smoke else 10000
    config.compared = 20 if smoke else 1000
    config.vae = {"latent": 16, "width": 400, "batch": 128, "steps": 4680, "learning_rate": 1e-3}
    config.gan = {
        "width": 32, "judge": 24, "latent": 64, "batch": 32, "steps": 8000, "loss": "hinge", "decay": 0.999,
        "rates": (5e-4, 1e-3),
    }  # fmt: skip
    config.few = {"labels": 1000, "samples": 10000, "tuning": {"steps": 1404}}
    config.asked = (
        ("GAN", "", 5.0, None, "", "noise / distance"),
        ("GAN", "PCA Gaussian", None, 0.0, "", "distance"),
        ("GAN", "", None, 20.0, "", "minutes"),
    )
    if smoke:
        config.vae = {**config.vae, "latent": 4, "width": 16, "batch": 16, "steps": 3}
        config.gan = {**config.gan, "width": 4, "judge": 4, "latent": 4, "batch": 8, "steps": 3}
        config.few = {"labels": 40, "samples": 40, "tuning": {"steps": 20}}
    return config
