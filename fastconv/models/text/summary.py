"""A network as a table: layers, shapes and how much each learns."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fastconv.layers.spec import Spec
from fastconv.memory import format_bytes
from fastconv.models.graph import Graph, Slot
from fastconv.models.text.table import table

__all__ = ["summarize"]


def summarize(
    graph: Graph, slots: Mapping[str, Slot], frozen: Collection[str], name: str | None
) -> str:
    """Return the summary of a network.

    Parameters
    ----------
    graph : Graph
    slots : mapping of str to Slot
        Its parameters by ``layer/parameter``.
    frozen : collection of str
        The keys that optimizers leave alone.
    name : str or None
        The network's name.
    """
    ids = graph.ids
    learned: dict[str, int] = {}
    for key, slot in slots.items():
        layer = key.partition("/")[0]
        learned[layer] = learned.get(layer, 0) + slot.learned * slot.size
    rows = [
        [input_id, "Input", _output(spec, graph), "0", ""]
        for input_id, spec in zip(graph.input_ids, graph.input_specs, strict=True)
    ]
    for number, step in enumerate(graph.steps, start=len(rows)):
        kind = type(step.layer).__name__
        count = f"{learned.get(step.name, 0):,}"
        if step.id != step.name:
            kind, count = f"use of {step.name}", "shared"
        before = step.sources == (number - 1,)
        sources = "" if before else ", ".join(ids[source] for source in step.sources)
        rows.append([step.id, kind, _output(step.spec, graph), count, sources])
    sizes = [slot.size for slot in slots.values() if slot.learned]
    held = [slot.size for key, slot in slots.items() if slot.learned and key in frozen]
    statistics = [slot.size for slot in slots.values() if not slot.learned]
    total = f"{sum(sizes):,} parameters"
    if held:
        total += f", {sum(held):,} of them frozen"
    if statistics:
        total += f"; {sum(statistics):,} statistics"
    nbytes = sum(slot.nbytes for slot in slots.values())
    lines = [table(["id", "layer", "output", "parameters", "from"], rows, align="<<<><")]
    lines.append(f"{total}; {format_bytes(nbytes)} in {graph.dtype}")
    outputs = [ids[output] for output in graph.outputs]
    if outputs != ids[-1:]:
        lines.append(f"outputs: {', '.join(outputs)}")
    return "\n".join([name, *lines] if name else lines)


def _output(spec: Spec, graph: Graph) -> str:
    return spec.letters if spec.dtype == graph.dtype else f"{spec.letters} {spec.dtype}"
