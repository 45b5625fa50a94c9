"""Labels in the graph of an ONNX file, found without running it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_KEYS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")


def walk(message: Any) -> Iterator[Any]:
    """Iterate over a protobuf message and all messages inside it: nodes, nested graphs, tensors."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in value if not hasattr(value, "ListFields") else [value]:
                yield from walk(part)


def classes_in(model: Any) -> list[Any] | None:
    """Labels in the order of scores; None if the file has none, or several different lists.

    Classifiers of ONNX-ML have them as an attribute. Other models of skl2onnx look them up by the number of
    the largest score.
    """
    found: list[list[Any]] = []
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in _KEYS:
                texts = [text.decode("utf-8") for text in attribute.strings]
                found.append(texts or list(attribute.ints))
        if node.op_type == "ArrayFeatureExtractor" and node.input and node.input[0] in tensors:
            found.append(_values(tensors[node.input[0]]))
    found = [labels for labels in found if len(labels) > 1 and len(set(labels)) == len(labels)]
    return found[0] if found and all(labels == found[0] for labels in found) else None


def _values(tensor: Any) -> list[Any]:
    from onnx import TensorProto
    from onnx.numpy_helper import to_array

    if tensor.data_location == TensorProto.EXTERNAL or tensor.data_type not in (
        TensorProto.INT64,
        TensorProto.INT32,
        TensorProto.STRING,
    ):
        return []
    values = to_array(tensor).ravel().tolist()
    return [value.decode("utf-8") if isinstance(value, bytes) else value for value in values]
