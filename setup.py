"""Packaging of compressjax: what it needs to run, and what each extra adds."""

import pathlib

import setuptools

HERE = pathlib.Path(__file__).parent
README = HERE / "README.md"

# The lower ends of jax and flax are the oldest versions that the suite runs on (Python 3.11), the upper ends exclude
# the first versions nobody has tried.
INSTALL = [
    "absl-py>=2.1,<3",
    "constriction>=0.4,<0.6",
    "flatbuffers>=24.3",  # jax.export serializes programs with it but does not require it
    "flax>=0.12,<0.13",
    "jax>=0.10,<0.13",
    "ml_collections>=1.0,<2",
    "ml_dtypes>=0.5",
    "numpy>=2.0,<3",
    "optax>=0.2.5,<0.3",
    "orbax-checkpoint>=0.11.20,<0.13",
    "scipy>=1.13,<2",
]

EXPERIMENTS = [
    "array_record>=0.8,<0.9",
    "grain>=0.2.12,<0.3",
    "importlib_resources>=6.4,<8",  # tensorflow-datasets imports it on every Python, requires it on few
    "matplotlib>=3.8,<4",
    "pillow>=10",
    "rich>=13.7,<16",
    "scikit-learn>=1.4,<2",
    "tensorboardX>=2.6.2,<3",
    "tensorflow-datasets>=4.9.9,<5",
]

TEST = [
    "chex>=0.1.89,<0.2",
    "hypothesis>=6.100,<7",
    "mypy>=1.15,<3",
    "pyarrow>=15",
    "pytest>=8.3,<10",
    "pytest-xdist>=3.6,<4",
    "ruff>=0.17,<0.18",  # the formatter's output changes between minor versions
    "scikit-learn>=1.4,<2",
]

BENCH = ["scikit-learn>=1.4,<2"]

# Data of reproductions that its authors publish as a package.
REPRODUCE = ["mnist1d>=0.0.2.post1,<0.1"]

# Peers that are compared with ours; each has an adapter in third_party/, and is skipped visibly when absent.
PARITY = [
    "brotli>=1.1",
    "onnx>=1.16",
    "onnxruntime>=1.20",
    "qwix>=0.1.8,<0.2",
    "scikit-learn>=1.4,<2",
    "zstandard>=0.22",
]

# Tables on disk.
DATA = ["pyarrow>=15"]

EXTRAS = {
    "data": DATA,
    "experiments": EXPERIMENTS,
    "reproduce": REPRODUCE,
    "test": TEST,
    "bench": BENCH,
    "parity": PARITY,
}
EXTRAS["all"] = sorted({requirement for group in EXTRAS.values() for requirement in group})
# 400 MB that also need Java, so not part of "all".
EXTRAS["spark"] = [*DATA, "pandas>=2.2", "pyspark>=3.5,<5"]  # mapInArrow asks for pandas

setuptools.setup(
    name="compressjax",
    version="0.1.0",
    description="Compress any JAX function with parameters: smaller files, faster programs, and the proof.",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=setuptools.find_packages(include=["compressjax*", "experiments*", "configs*"]),
    package_data={"compressjax": ["py.typed", "references.bib"]},
    install_requires=INSTALL,
    extras_require=EXTRAS,
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
