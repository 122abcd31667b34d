"""Generation of data: adversarial and variational networks, inversion of trained networks, and quality of samples."""

from compressjax.generate._adversarial import Adversarial, adversarial, gradient_penalty
from compressjax.generate._data_free import DataFree, data_free_losses
from compressjax.generate._dcgan import DCGANDiscriminator, DCGANGenerator
from compressjax.generate._gan import GAN, GANState, gan
from compressjax.generate._inversion import Moments, invert, moment_loss, norm_moments, total_variation
from compressjax.generate._sampling import interpolate, sheet
from compressjax.generate._spectral_norm import SpectralNorm, init_spectral_norm, spectral_norm
from compressjax.generate._vae import VAE, vae_loss
from compressjax.generate.quality import Memorized, PrecisionRecall, frechet_distance, memorized, precision_recall

__all__ = [
    "GAN", "VAE", "Adversarial", "DCGANDiscriminator", "DCGANGenerator", "DataFree", "GANState", "Memorized", "Moments",
    "PrecisionRecall", "SpectralNorm", "adversarial", "data_free_losses", "frechet_distance", "gan", "gradient_penalty",
    "init_spectral_norm", "interpolate", "invert", "memorized", "moment_loss", "norm_moments", "precision_recall",
    "sheet", "spectral_norm", "total_variation", "vae_loss",
]  # fmt: skip
