"""A network as a table: layers, shapes and how much each learns."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fastconv import notebook
from fastconv.layers.spec import Spec
from fastconv.memory import format_bytes
from fastconv.models.graph import Graph, Slot
from fastconv.models.text.table import table

__all__ = ["summarize", "summary_html"]

_HEAD, _ALIGN = ["id", "layer", "output", "parameters", "from"], "<<<><"


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
    lines = [table(_HEAD, _rows(graph, slots), align=_ALIGN), *_totals(graph, slots, frozen)]
    return "\n".join([name, *lines] if name else lines)


def summary_html(
    graph: Graph, slots: Mapping[str, Slot], frozen: Collection[str], name: str | None
) -> str:
    """Return the same summary for a notebook."""
    note = "; ".join(_totals(graph, slots, frozen))
    rows = notebook.table(_HEAD, _rows(graph, slots), align=_ALIGN, note=note)
    return notebook.page(name or f"a network of {len(graph.steps)} layers", rows)


def _rows(graph: Graph, slots: Mapping[str, Slot]) -> list[list[str]]:
    """Return a row for each input and each layer."""
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
    return rows


def _totals(graph: Graph, slots: Mapping[str, Slot], frozen: Collection[str]) -> list[str]:
    """Return what stands below the table."""
    sizes = [slot.size for slot in slots.values() if slot.learned]
    held = [slot.size for key, slot in slots.items() if slot.learned and key in frozen]
    statistics = [slot.size for slot in slots.values() if not slot.learned]
    total = f"{sum(sizes):,} parameters"
    if held:
        total += f", {sum(held):,} of them frozen"
    if statistics:
        total += f"; {sum(statistics):,} statistics"
    nbytes = sum(slot.nbytes for slot in slots.values())
    lines = [f"{total}; {format_bytes(nbytes)} in {graph.dtype}"]
    ids = graph.ids
    outputs = [ids[output] for output in graph.outputs]
    if outputs != ids[-1:]:
        lines.append(f"outputs: {', '.join(outputs)}")
    return lines


def _output(spec: Spec, graph: Graph) -> str:
    return spec.letters if spec.dtype == graph.dtype else f"{spec.letters} {spec.dtype}"
