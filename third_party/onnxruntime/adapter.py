"""Networks as ONNX graphs, and their sessions: float32, and int8 by dynamic and static quantization."""

import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization


class Graph:
    """Builds an ONNX graph by the calls that `experiments.bench.networks.Arrays` runs; images are NCHW inside."""

    def __init__(self, weights: Mapping[str, Any]) -> None:
        self.weights = {name: np.asarray(x, np.float32) for name, x in weights.items()}
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node and returns the name of its result."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, x: Any, dtype: Any = np.float32) -> str:
        """Adds a constant and returns its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(x, dtype)), name))
        return name

    def image(self, x: str) -> str:
        """NHWC to NCHW."""
        return self.op("Transpose", x, perm=[0, 3, 1, 2])

    def flat(self, x: str) -> str:
        """Images to rows, channels last as in JAX."""
        return self.op("Flatten", self.op("Transpose", x, perm=[0, 2, 3, 1]))

    def dense(self, x: str, name: str, size: int, inputs: int) -> str:
        """`x @ kernel + bias`."""
        kernel, bias = (self.constant(self.weights[f"{name}/{part}"]) for part in ("kernel", "bias"))
        return self.op("Add", self.op("MatMul", x, kernel), bias)

    def conv(self, x: str, name: str, size: int, channels: int, inputs: int, stride: int = 1) -> str:
        """A convolution with the padding that JAX calls SAME, and a bias."""
        kernel = self.constant(np.transpose(self.weights[f"{name}/kernel"], (3, 2, 0, 1)))
        bias = self.constant(self.weights[f"{name}/bias"])
        return self.op("Conv", x, kernel, bias, auto_pad="SAME_UPPER", strides=[stride, stride])

    def depthwise(self, x: str, name: str, size: int, channels: int, stride: int = 1) -> str:
        """A convolution of every channel by itself, with bias."""
        kernel = self.constant(np.transpose(self.weights[f"{name}/kernel"], (3, 2, 0, 1)))
        bias, strides = self.constant(self.weights[f"{name}/bias"]), [stride, stride]
        return self.op("Conv", x, kernel, bias, auto_pad="SAME_UPPER", strides=strides, group=channels)

    def relu6(self, x: str) -> str:
        """`min(max(x, 0), 6)`."""
        return self.op("Clip", x, self.constant(0.0), self.constant(6.0))

    def relu(self, x: str) -> str:
        """`max(x, 0)`."""
        return self.op("Relu", x)

    def gelu(self, x: str) -> str:
        """The exact GELU."""
        inner = self.op("Erf", self.op("Mul", x, self.constant(0.5**0.5)))
        return self.op("Mul", self.op("Mul", x, self.constant(0.5)), self.op("Add", inner, self.constant(1.0)))

    def pool(self, x: str) -> str:
        """Largest of every 2 x 2 pixels."""
        return self.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])

    def mean(self, x: str) -> str:
        """Mean over pixels."""
        return self.op("Flatten", self.op("GlobalAveragePool", x))

    def add(self, x: str, y: str) -> str:
        """`x + y`."""
        return self.op("Add", x, y)

    def norm(self, x: str, name: str, size: int) -> str:
        """Layer normalization of the last axis."""
        scale, bias = (self.constant(self.weights[f"{name}/{part}"]) for part in ("scale", "bias"))
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-6)

    def attention(self, q: str, k: str, v: str, heads: int, size: int) -> str:
        """Softmax attention of `[batch, length, size]`."""
        split = self.constant([0, 0, heads, size // heads], np.int64)

        def turned(x: str, perm: list[int]) -> str:
            return self.op("Transpose", self.op("Reshape", x, split), perm=perm)

        scores = self.op("MatMul", turned(q, [0, 2, 1, 3]), turned(k, [0, 2, 3, 1]))
        weights = self.op("Softmax", self.op("Mul", scores, self.constant((size // heads) ** -0.5)), axis=-1)
        mixed = self.op("Transpose", self.op("MatMul", weights, turned(v, [0, 2, 1, 3])), perm=[0, 2, 1, 3])
        return self.op("Reshape", mixed, self.constant([0, 0, size], np.int64))

    def lstm(self, x: str, name: str, size: int, inputs: int) -> str:
        """The last hidden state of an LSTM over `[batch, length, in]`; gates in the order i, f, g, o."""

        def gates(x: np.ndarray) -> np.ndarray:  # ONNX has them as i, o, f, c
            i, f, g, o = np.split(x, 4, axis=-1)
            return np.concatenate([i, o, f, g], axis=-1)

        kernels = [self.constant(gates(self.weights[f"{name}/{part}/kernel"]).T[None]) for part in ("inputs", "hidden")]
        bias = gates(self.weights[f"{name}/bias"])
        both = self.constant(np.concatenate([bias, np.zeros_like(bias)])[None])
        out = f"lstm_{len(self.nodes)}"
        steps = self.op("Transpose", x, perm=[1, 0, 2])
        self.nodes.append(helper.make_node("LSTM", [steps, *kernels, both], ["", out], name=out, hidden_size=size))
        return self.op("Squeeze", out, self.constant([0], np.int64))

    def model(self, shape: tuple[int, ...], result: str, out: tuple[int, ...]) -> Any:
        """The checked model of an input `x` of a shape, with a result of the shape `out`."""
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))
        made = helper.make_tensor_value_info(result, TensorProto.FLOAT, list(out))
        graph = helper.make_graph(self.nodes, "network", [given], [made], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model


class Batches(quantization.CalibrationDataReader):
    """Hands over arrays for calibration, once."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.rest: Iterator[np.ndarray] = iter(arrays)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input, or None."""
        x = next(self.rest, None)
        return None if x is None else {"x": x}


def programs(model: Any, example: np.ndarray, threads: int) -> dict[str, Callable[[], np.ndarray]]:
    """Calls of the model on an example: float32, int8 dynamic, int8 static (calibrated on the example).

    Args:
        model: from `Graph.model`.
        example: float32 input.
        threads: of every session.

    Returns:
        Functions without arguments by name.
    """
    example = np.asarray(example, np.float32)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path, shaped = (str(pathlib.Path(folder, name)) for name in ("model.onnx", "shaped.onnx"))
        onnx.save(model, path)
        found["float32"] = _call(path, example, threads)
        quantization.shape_inference.quant_pre_process(path, shaped, skip_symbolic_shape=True)
        for name in ("int8 dynamic", "int8 static"):
            out = str(pathlib.Path(folder, "int8.onnx"))
            if name == "int8 dynamic":
                quantization.quantize_dynamic(shaped, out, weight_type=quantization.QuantType.QInt8)
            else:
                quantization.quantize_static(shaped, out, Batches([example]), per_channel=True)
            found[name] = _call(out, example, threads)
    return found


def _call(path: str, example: np.ndarray, threads: int) -> Callable[[], np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Its threads would otherwise spin on after a call, on the cores of the contender that is timed next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": example})[0]
