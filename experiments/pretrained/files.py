"""Weights from files: safetensors and pickles of PyTorch, as NumPy arrays by name, without either library."""

import collections
import importlib
import importlib.util
import json
import math
import os
import pickle
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np

DTYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "U8": np.uint8}
STORAGES = {"FloatStorage": np.float32, "HalfStorage": np.float16, "LongStorage": np.int64, "IntStorage": np.int32}


def located(path: str, package: str, inside: str, install: str) -> str:
    """The path that the config gives, or that of a file or folder of an installed package.

    Args:
        path: From the config; empty to look into the package.
        package: Import name.
        inside: Path within the package.
        install: Requirement of the package, for the message.

    Returns:
        The path.

    Raises:
        ValueError: If nothing is there.
    """
    if path:
        if not os.path.exists(path):
            raise ValueError(f"{path} does not exist; name the file, or leave the path empty to use {install}")
        return path
    found = importlib.util.find_spec(package)
    places = [os.path.join(folder, inside) for folder in (found.submodule_search_locations if found else ()) or ()]
    for place in filter(os.path.exists, places):
        return place
    raise ValueError(f"{package} is not installed; run: pip install --no-deps {install}")


def module(name: str, install: str) -> Any:
    """Imports a module of an optional package."""
    if importlib.util.find_spec(name) is None:
        raise ValueError(f"{name} is not installed; run: pip install --no-deps {install}")
    return importlib.import_module(name)


def read_safetensors(path: str) -> dict[str, np.ndarray]:
    """Arrays of a safetensors file.

    Args:
        path: The file: the length of the header, the header in JSON, and the bytes.

    Returns:
        Arrays by name.
    """
    with open(path, "rb") as file:
        content = file.read()
    start = 8 + int.from_bytes(content[:8], "little")
    found = {}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            dtype = np.dtype(DTYPES[entry["dtype"]])
            flat = np.frombuffer(content, dtype, (end - begin) // dtype.itemsize, start + begin)
            found[name] = flat.reshape(entry["shape"])
    return found


class _Tensor(collections.namedtuple("_Tensor", "storage offset shape strides")):
    """A tensor whose storage is not read yet."""


class _Unpickler(pickle.Unpickler):
    """Makes dictionaries, numbers and tensors, and refuses everything else."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, np.dtype] = {}

    def find_class(self, module: str, name: str) -> Any:
        """The few names that a file of weights needs."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *rest: _Tensor(storage, offset, shape, strides)
        if module == "torch" and name in STORAGES:
            return name
        raise ValueError(f"the pickle asks for {module}.{name}, which weights do not need; it is not read")

    def persistent_load(self, pid: Any) -> str:
        """Notes the type of a storage, whose bytes follow the pickles."""
        _, kind, key, *_ = pid
        self.storages[key] = np.dtype(STORAGES[kind])
        return key


def read_torch(path: str) -> dict[str, np.ndarray]:
    """Arrays of a state dictionary in PyTorch's format before 1.6.

    Args:
        path: The file: five pickles (magic number, version, machine, tensors, order of storages), and the bytes.

    Returns:
        Arrays by name, in the tensors' own axes.

    Raises:
        ValueError: If the file is another one, or asks for code.
    """
    with open(path, "rb") as file:
        try:
            magic, version, _ = (_Unpickler(file).load() for _ in range(3))
            reader = _Unpickler(file)
            tensors, order = reader.load(), _Unpickler(file).load()
        except (pickle.UnpicklingError, EOFError, IndexError, KeyError) as error:
            raise ValueError(f"{path} is no state dictionary of PyTorch in the format before 1.6") from error
        if magic != 0x1950A86A20F9469CFC6C or version != 1001:
            raise ValueError(f"{path} is no state dictionary of PyTorch in the format before 1.6")
        storages = dict(_storages(file, order, reader.storages))
    return {name: _array(tensor, storages[tensor.storage]) for name, tensor in tensors.items()}


def _storages(file: BinaryIO, order: Iterable[str], dtypes: dict[str, np.dtype]) -> Any:
    for key in order:
        count = int.from_bytes(file.read(8), "little")
        yield key, np.frombuffer(file.read(count * dtypes[key].itemsize), dtypes[key])


def _array(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    """The tensor's entries; its strides count entries, not bytes."""
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides))
    if math.prod(tensor.shape) and not 0 <= tensor.offset <= last < storage.size:
        raise ValueError(f"a tensor of shape {tensor.shape} ends at {last} of {storage.size} entries; the file is cut")
    strides = [s * storage.itemsize for s in tensor.strides]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides).copy()
