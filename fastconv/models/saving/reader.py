"""Reads the full form of a configuration: nodes with ids and who reads whom."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from fastconv.errors import from_signal, in_one_line, shorten
from fastconv.layers.base import Layer
from fastconv.models.graph import Node, Slot, connect, weights
from fastconv.models.saving.problems import MAX_NODES, Problems, input_node, problems_of

__all__ = ["Reader"]


class Reader:
    """Reads the full form: ids first, then layers, then who reads whom, then shapes."""

    def __init__(self, config: Mapping[str, Any], dtype: str, problems: Problems):
        self.problems = problems
        self.dtype = dtype
        # There may be no nodes: if the outputs are inputs, a network needs none.
        self.items = self._list(config, "inputs"), self._list(config, "nodes", least=0)
        self.outputs = self._list(config, "outputs")
        self.place: dict[str, int] = {}  # id -> position; inputs count down from -1
        self.paths: dict[str, str] = {}
        self.slots: dict[int, tuple[str, dict[str, Slot]]] = {}  # by layer, for its further uses

    def _list(self, config: Mapping[str, Any], key: str, least: int = 1) -> list[Any]:
        value = config.get(key)
        if not isinstance(value, (list, tuple)) or not least <= len(value) <= MAX_NODES:
            got = len(value) if isinstance(value, (list, tuple)) else value
            rule = f"must be a list of {least} to {MAX_NODES} entries"
            if key in config:
                self.problems.add(key, rule, got)
            else:
                self.problems.add(key, f"{rule}, is missing")
            return []
        return list(value)

    def ends(self) -> tuple[list[Node], list[Node]] | None:
        """Return inputs and outputs, or None after the problems are noted."""
        problems, (inputs, nodes) = self.problems, self.items
        for i, item in enumerate(inputs):
            self._claim(f"inputs[{i}]", item, ("id", "shape", "dtype", "batch_axis"), -1 - i)
        for i, item in enumerate(nodes):
            self._claim(f"nodes[{i}]", item, ("id", "layer", "config", "use", "from"), i)
        self.layers = self._layers(nodes)
        self.sources = [self._from(i, item) for i, item in enumerate(nodes)]
        made: dict[int, Node | None] = {}
        for i, item in enumerate(inputs):
            if isinstance(item, Mapping):
                name = item.get("id") if self.place.get(_text(item.get("id"))) == -1 - i else None
                dtype, axis = item.get("dtype", self.dtype), item.get("batch_axis", 0)
                made[-1 - i] = input_node(
                    f"inputs[{i}].shape", item.get("shape"), dtype, name, problems, axis
                )
        for i in self._order():
            made[i] = self._node(i, made)
        outputs = []
        for i, reference in enumerate(self.outputs):
            at = self._find(f"outputs[{i}]", reference)
            outputs.append(None if at is None else made.get(at))
        starts = [made.get(-1 - i) for i in range(len(inputs))]
        if problems.found:
            return None
        return [node for node in starts if node], [node for node in outputs if node]

    def _claim(self, path: str, item: Any, allowed: tuple[str, ...], at: int) -> None:
        problems = self.problems
        if not isinstance(item, Mapping):
            problems.add(path, "must be an object", item)
            return
        problems.keys(path, item, allowed)
        name: Any = item.get("id")
        if not problems.is_id(f"{path}.id", name):
            return
        if name in self.place:
            problems.add(f"{path}.id", f"{name!r} is already the id of {self.paths[name]}")
        else:
            self.place[name], self.paths[name] = at, path

    def _layers(self, nodes: list[Any]) -> list[Layer | None]:
        """Return the layer of each node; those that `use` another node's come last."""
        problems = self.problems
        layers: list[Layer | None] = [None] * len(nodes)
        for i, item in enumerate(nodes):
            if not isinstance(item, Mapping):
                continue
            path = f"nodes[{i}]"
            if ("layer" in item) == ("use" in item):
                problems.add(path, 'must have either "layer" or "use"')
            elif "layer" in item:
                name = item.get("id") if self.place.get(_text(item.get("id"))) == i else None
                config = item.get("config", {})
                layers[i] = problems.layer(
                    f"{path}.layer", item["layer"], f"{path}.config", config, name
                )
            elif "config" in item:
                problems.add(f"{path}.config", 'goes with "layer"; "use" takes the layer as it is')
        for i, item in enumerate(nodes):
            if isinstance(item, Mapping) and "use" in item and "layer" not in item:
                at = self._find(f"nodes[{i}].use", item["use"])
                if at is None:
                    continue
                if at < 0 or not isinstance(nodes[at], Mapping) or "layer" not in nodes[at]:
                    problems.add(f"nodes[{i}].use", f"{item['use']!r} is no node with a layer")
                else:
                    layers[i] = layers[at]
        return layers

    def _find(self, path: str, reference: Any) -> int | None:
        at = self.place.get(_text(reference))
        if at is None:
            near = self.problems.near(reference, self.place)
            self.problems.add(
                path, f"no input or node has the id {shorten(reference)}", remedy=near
            )
        return at

    def _from(self, i: int, item: Any) -> list[int | None]:
        """Return what node `i` reads; without "from" that is the node before or the only input."""
        if not isinstance(item, Mapping):
            return [None]
        path = f"nodes[{i}].from"
        if "from" not in item:
            if i == 0 and len(self.items[0]) != 1:
                self.problems.add(path, "must be given where there are several inputs")
                return [None]
            return [i - 1]  # the only input is at -1
        references = item["from"]
        if not isinstance(references, (list, tuple)) or not references:
            self.problems.add(path, 'must be a list of ids, such as ["x"]', references)
            return [None]
        return [self._find(f"{path}[{k}]", reference) for k, reference in enumerate(references)]

    def _order(self) -> list[int]:
        """Return the nodes' positions in an order in which they can run: the file's if possible.

        Nodes on a cycle, and nodes behind one, are left out. Each cycle is noted once.
        """
        readers: list[list[int]] = [[] for _ in self.sources]
        waits = []
        for i, sources in enumerate(self.sources):
            before = {source for source in sources if source is not None and source >= 0}
            waits.append(len(before))
            for source in before:
                readers[source].append(i)
        ready = [i for i, count in enumerate(waits) if count == 0]
        order = []
        while ready:
            i = heapq.heappop(ready)
            order.append(i)
            for reader in readers[i]:
                waits[reader] -= 1
                if waits[reader] == 0:
                    heapq.heappush(ready, reader)
        self._note_cycles({i for i, count in enumerate(waits) if count})
        return order

    def _note_cycles(self, stuck: set[int]) -> None:
        seen: set[int] = set()
        for start in sorted(stuck):
            walk: list[int] = []
            at = start
            while at not in seen:
                seen.add(at)
                walk.append(at)
                at = next(s for s in self.sources[at] if s in stuck)  # type: ignore[assignment]
            if at in walk:
                names = [in_one_line(self.items[1][i]["id"]) for i in walk[walk.index(at) :]]
                listed = " -> ".join(reversed([*names[:8], names[0]]))
                self.problems.add(f"nodes[{at}].from", f"is part of a cycle: {listed}")

    def _node(self, i: int, made: Mapping[int, Node | None]) -> Node | None:
        layer = self.layers[i]
        parents = [None if at is None else made.get(at) for at in self.sources[i]]
        if layer is None or None in parents:
            return None
        name = self.items[1][i].get("id")
        try:
            node = connect(layer, *(parent for parent in parents if parent), name=name)
            here = layer.outline(*(parent.spec for parent in node.parents))
            first = self.slots.setdefault(id(layer), (name, here))
            if first[1] != here:
                raise weights.mismatch(name, *first, here)
            return node
        except BaseException as error:  # a third party's layer may raise anything
            if from_signal(error):
                raise
            self.problems.note(*problems_of(f"nodes[{i}]", error))
            return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
