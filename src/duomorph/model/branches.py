"""Several graphs of one network as one ONNX model, which takes the way that suits the call.

One promise: every way reads the same weights, which keep their names, and what depends on them alone is computed once,
when it is loaded.

    graph = Branches()
    graph.choose(graph.over("mel", 1), graph.way(block), graph.way(tick))
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxscript import optimizer
from torch import nn

OPSET = 20
UNDER = "network."  # what the names of weights begin with in a graph
Values = Mapping[str, tuple[int, Sequence[str | int]]]
_value = helper.make_tensor_value_info


def lean(model: onnx.ModelProto, kept_under: str) -> onnx.ModelProto:
    """Without what the exporter does in steps whose result is known; constants of such names stay as they are."""
    weights = [value for value in model.graph.initializer if value.name.startswith(kept_under)]
    for value in weights:  # what is an input the optimiser does not know, and leaves alone
        model.graph.initializer.remove(value)
        model.graph.input.append(helper.make_tensor_value_info(value.name, value.data_type, value.dims))
    model = optimizer.optimize(model)
    names = {value.name for value in weights}
    inputs = [value for value in model.graph.input if value.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.graph.initializer.extend(weights)
    return model


def traced(
    module: nn.Module,
    example: tuple[Any, ...],
    dynamic: tuple[Any, ...],
    inputs: list[str],
    outputs: list[str],
    kept_under: str = UNDER,
) -> onnx.GraphProto:
    """One torch module as a graph, made lean."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # packages that it misses and we do not need
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            dynamic_shapes=dynamic,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            optimize=False,  # it would transpose weights, and they could no longer be shared; see `lean`
            verbose=False,
        )
    assert program is not None
    return lean(program.model_proto, kept_under).graph


class Branches:
    """A graph that grows: nodes for every call, constants, and ways to choose between."""

    def __init__(self, prefix: str = "") -> None:
        """`prefix` of names, for a graph that is to be put before another."""
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self._names: dict[bytes, str] = {}  # of a constant, or of what is made of constants alone -> its name
        self._ways = 0

    def once(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """What a node gives, outside the ways, however often it is asked for."""
        return self._fixed(helper.make_node(kind, inputs, [], **attributes))

    def integer(self, value: int) -> str:
        """A constant, (1,)."""
        return self._constant(helper.make_tensor("", TensorProto.INT64, [1], [value]))

    def constant(self, value: NDArray[np.float32]) -> str:
        """Any other constant."""
        return self._constant(numpy_helper.from_array(value))

    def give(self, name: str, value: str) -> None:
        """A name of its own for a value, under which ways and outputs find it."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def add(self, graph: onnx.GraphProto) -> None:
        """Its nodes for every call; its outputs have their names outside."""
        nodes, names = self._inside(graph)
        self.nodes += nodes
        for value in graph.output:
            self.give(value.name, names[value.name])

    def way(self, graph: onnx.GraphProto) -> onnx.GraphProto:
        """A branch that gives the outputs of `graph` and finds its inputs outside, under their names."""
        inside, names = self._inside(graph)
        outputs = []
        for value in graph.output:
            name = f"{value.name}.{self._ways}.out"
            inside.append(helper.make_node("Identity", [names[value.name]], [name]))
            outputs.append(_value(name, value.type.tensor_type.elem_type, None))
        return helper.make_graph(inside, f"way {self._ways}", [], outputs)

    def _inside(self, graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], dict[str, str]]:
        """Its nodes under names of their own, and which name each value got; what is fixed stands outside."""
        self._ways += 1
        names = {value.name: value.name for value in graph.input}
        names |= {value.name: self._constant(value) for value in graph.initializer}
        fixed = {value.name for value in graph.initializer}
        inside = []
        for node in graph.node:
            made = helper.make_node(node.op_type, [names[name] if name else "" for name in node.input], [])
            made.domain = node.domain
            made.attribute.extend(node.attribute)
            if node.input and len(node.output) == 1 and all(name in fixed for name in node.input):
                fixed.add(node.output[0])
                names[node.output[0]] = self._fixed(made)
                continue
            names |= {name: f"{self._prefix}{name}.{self._ways}" for name in node.output if name}
            made.output.extend(names[name] if name else "" for name in node.output)
            inside.append(made)
        return inside, names

    def over(self, name: str, few: int) -> str:
        """Has that input more than so many entries along its second axis?"""
        count = self.once("Shape", [name], start=1, end=2)
        return self.once("Greater", [count, self.integer(few)])

    def either(self, condition: str, then: onnx.GraphProto, other: onnx.GraphProto) -> onnx.GraphProto:
        """One of two ways, as a way."""
        self._ways += 1
        outputs = [f"{value.name}.{self._ways}" for value in then.output]
        node = helper.make_node("If", [condition], outputs, then_branch=then, else_branch=other)
        values = [_value(name, TensorProto.FLOAT, None) for name in outputs]
        return helper.make_graph([node], f"way {self._ways}", [], values)

    def choose(self, condition: str, then: onnx.GraphProto, other: onnx.GraphProto) -> None:
        """One of two ways, for every call: what it gives has its name outside."""
        outputs = [value.name.partition(".")[0] for value in then.output]
        self.nodes.append(helper.make_node("If", [condition], outputs, then_branch=then, else_branch=other))

    def before(self, model: onnx.ModelProto, inputs: Values, outputs: Values, instead_of: Sequence[str]) -> None:
        """Put it in front of a model, with inputs and outputs of its own; what it gives `instead_of` inputs it does."""
        nodes = [*self.nodes, *model.graph.node]
        kept = [value for value in model.graph.input if value.name not in instead_of]
        del model.graph.node[:], model.graph.input[:]
        model.graph.node.extend(nodes)
        model.graph.input.extend([_value(name, *kind) for name, kind in inputs.items()] + kept)
        model.graph.output.extend(_value(name, *kind) for name, kind in outputs.items())
        model.graph.initializer.extend(self.constants.values())

    def model(self, inputs: Values, outputs: Values) -> onnx.ModelProto:
        """All of it; types and shapes by name."""
        graph = helper.make_graph(
            self.nodes,
            "duomorph",
            [_value(name, *kind) for name, kind in inputs.items()],
            [_value(name, *kind) for name, kind in outputs.items()],
            list(self.constants.values()),
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)

    def _constant(self, value: TensorProto) -> str:
        bare = TensorProto()
        bare.CopyFrom(value)
        bare.name = bare.doc_string = ""
        key, number = bare.SerializeToString(deterministic=True), len(self._names)
        weight = value.name.startswith(UNDER)
        name = value.name if weight else self._names.setdefault(key, f"{self._prefix}constant.{number}")
        if name not in self.constants:
            bare.name = name
            self.constants[name] = bare
        return name

    def _fixed(self, node: onnx.NodeProto) -> str:
        key, count = node.SerializeToString(deterministic=True), len(self._names)
        name = self._names.setdefault(key, f"{self._prefix}fixed.{count}")
        if len(self._names) > count:
            node.output.append(name)
            self.nodes.append(node)
        return name
