"""Weights in fewer bytes: what a file keeps of them, and a graph that unpacks them.

One promise: the graph computes with exactly `whole(packed)`, in single precision, and unpacks once, when it is loaded.

    packed = pack(network, "int8")
    unpack_inside(model, packed)
"""

from __future__ import annotations

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from duomorph.model.branches import UNDER

KEPT = ".kept"  # the name of a matrix as it was kept is that of the matrix and this
STEP = ".step"  # a matrix in int8 is that many times this tensor, one number for each output


def pack(network: nn.Module, store: str) -> dict[str, Tensor]:
    """The weights by name: matrices of linear layers and convolutions, nearly all there is, in `store`; the rest whole.

    `store`: "fp32", "fp16" or "int8".
    """
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    for layer, module in network.named_modules():
        name = f"{layer}.weight"
        if store == "fp32" or not isinstance(module, nn.Linear | nn.Conv1d):
            continue
        if store == "fp16":
            tensors[name] = tensors[name].half()
        else:
            inputs = tuple(range(1, tensors[name].ndim))
            step = tensors[name].abs().amax(dim=inputs, keepdim=True).clamp(min=1e-12) / 127
            tensors[name], tensors[name + STEP] = (tensors[name] / step).round().to(torch.int8), step
    return tensors


def whole(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `pack` kept, in single precision."""
    named = {name: tensor.float() for name, tensor in packed.items() if not name.endswith(STEP)}
    return {name: tensor * packed[name + STEP] if name + STEP in packed else tensor for name, tensor in named.items()}


def unpack_inside(model: onnx.ModelProto, packed: dict[str, Tensor]) -> None:
    """Let a graph of `to_onnx` make its matrices from what was kept of them.

    By Cast and Mul, which every runtime folds into a constant; DequantizeLinear ONNX Runtime would keep for each call.
    """
    steps = []
    for constant in list(model.graph.initializer):
        origin = constant.name.removeprefix(UNDER)
        if origin not in packed or packed[origin].dtype not in (torch.float16, torch.int8):
            continue
        kept, wide = constant.name + KEPT, f"{constant.name}.wide"
        scaled = origin + STEP in packed
        parts = [numpy_helper.from_array(packed[origin].numpy(), kept)]
        steps.append(helper.make_node("Cast", [kept], [wide if scaled else constant.name], to=onnx.TensorProto.FLOAT))
        if scaled:
            parts.append(numpy_helper.from_array(packed[origin + STEP].numpy(), constant.name + STEP))
            steps.append(helper.make_node("Mul", [wide, constant.name + STEP], [constant.name]))
        model.graph.initializer.remove(constant)
        model.graph.initializer.extend(parts)
    nodes = [*steps, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
