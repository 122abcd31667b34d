"""Lossless files of the test images of Fashion-MNIST by a variational autoencoder with bits back (arXiv:1901.04866).

    python -m experiments.reproduce --config=configs/bits_back.py --workdir=runs/bits_back

Pixels are mixtures of logistic distributions, rounded to 256 levels. The stream holds the noise that it starts from,
and is decoded and compared; `bound` is the evidence lower bound of the same images. The decoder has the model, whose
size is printed and not in the bits. Beside it are PNG and WebP, lossless: a file an image, and strips of up to 16,380
rows. Target: below all of them. With --config.quality=100 strips of WebP are a little smaller and take much longer.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bits_back.py:smoke` is small."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps"})
    config = ConfigDict()
    config.study = "bits_back"
    name = "digits" if smoke else "fashion_mnist"
    config.data = {"name": name, "path": "" if smoke else "/usr/share/datasets/fashion-mnist"}
    config.model = {"name": "mlp", "settings": {"widths": ()}}  # a problem has one; the study does not train it
    config.seeds = (0,)
    config.latent, config.width, config.mixture = (4, 16, 1) if smoke else (64, 512, 2)
    config.batch, config.epochs = (32, 0.2) if smoke else (128, 8.0)
    config.learning_rate = 1e-3
    config.images, config.group = (40, 4) if smoke else (10000, 10)
    config.quality = 90
    config.asked = ()
    if not smoke:
        names = [f"{kind}, {way}" for kind in ("PNG", "WebP") for way in ("a file an image", "strips")]
        config.asked = tuple(("VAE, bits back", name, None, 0.0, "", "bits a pixel") for name in names)
    return config
