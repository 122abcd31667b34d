"""The networks of the experiments, in Flax Linen, and two in NNX; images are standardized."""

from experiments.models._cnn import CNN, VGG, LeNet5
from experiments.models._create import MODELS, create, describe
from experiments.models._depthwise import Depthwise
from experiments.models._mlp import MLP
from experiments.models._nnx import CNN as NNXCNN
from experiments.models._nnx import MLP as NNXMLP
from experiments.models._recommender import NeuMF
from experiments.models._recurrent import Recurrent
from experiments.models._resnet import ResNet, ThreeStages
from experiments.models._transformer import BERT, GPT, ViT

__all__ = [
    "BERT", "CNN", "GPT", "MLP", "MODELS", "NNXCNN", "NNXMLP", "VGG", "Depthwise", "LeNet5", "NeuMF", "Recurrent",
    "ResNet", "ThreeStages", "ViT", "create", "describe",
]  # fmt: skip
