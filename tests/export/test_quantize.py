"""int8 weights: products are right at the ends of the range, on every processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from audio_cls.export.quantize import quantize


@pytest.mark.parametrize("sign", [1, -1])
def test_products_of_the_largest_values_are_not_cut_off(tmp_path: Path, sign: int) -> None:
    weights = np.full((64, 4), sign, np.float32)  # each is the largest of its channel
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "a.onnx")
    quantize(tmp_path / "a.onnx", tmp_path / "b.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "b.onnx")
    (given,) = session.run(None, {"x": np.ones((2, 64), np.float32)})
    np.testing.assert_allclose(given, 64.0 * sign, rtol=0.02)  # 64 products of 1
