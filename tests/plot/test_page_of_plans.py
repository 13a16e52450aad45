"""The page with the slider: it says what the plans say, and nothing can break out of its text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import accumulate

import pytest

import fastconv
from fastconv import plot
from fastconv.cli import main
from fastconv.errors import ArgumentError, ArgumentTypeError, MemoryLimitError
from fastconv.plot.page import LIMITS
from fastconv.plot.page.figures import LETTERS, PARTS
from fastconv.plot.page.script import SCRIPT
from fastconv.plot.page.style import STYLE

#: What ends a script or begins an element; the second is a name that layers may have.
TITLE = "</script></title><img src=x onerror=alert(1)><!--<script>&lt;\"'\u2028\u00e9\u202e"
LAYER = "<svg-onload=alert(1)><script><!--&lt;\"'"


class Parsed(HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in self.texts else ""

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside:
            self.texts[self._inside].append(data)

    @property
    def figures(self):
        return json.loads(self.texts["script"][0])


def network(name: str | None = None, first: str = "first") -> fastconv.Sequential:
    layers = [
        ("Conv2D", {"filters": 8, "kernel_size": 3, "padding": 1, "name": first}),
        "ReLU",
        ("Conv2D", {"filters": 8, "kernel_size": 3, "padding": 1}),
        "BatchNorm",
        "ReLU",
        ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "stride": 2}),
        ("MaxPool2D", {"pool_size": 2}),
        "Flatten",
        ("Dense", {"units": 3}),
    ]
    return fastconv.Sequential(layers, input_shape=(4, 12, 12), name=name, seed=0)


@pytest.fixture(scope="module", params=[False, True], ids=["inference", "training"])
def shown(request):
    """Whether it is training, the network, and the figures of its page."""
    net = network("net")
    return request.param, net, Parsed(plot.plan_page(net, 20, training=request.param)).figures


def test_the_limits_go_from_the_least_to_none(shown):
    training, net, figures = shown
    limits = [stop["limit"] for stop in figures["stops"]]
    assert len(limits) == LIMITS + 1 == 25 and limits[-1] is None
    assert figures["start"] == LIMITS
    least, *between, free = limits[:-1]
    with pytest.raises(MemoryLimitError) as caught:
        net.plan(20, training=training, memory_limit=least - 1)
    assert caught.value.least == least
    assert free == net.plan(20, training=training).peak
    ratios = [after / before for before, after in zip(limits, [*between, free], strict=False)]
    assert min(ratios) > 1 and max(ratios) - min(ratios) < 1e-3


def test_every_stop_is_the_plan_of_its_limit(shown):
    training, net, figures = shown
    assert (figures["name"], figures["batch"], figures["training"]) == ("net", 20, training)
    for stop in figures["stops"]:
        plan = net.plan(20, training=training, memory_limit=stop["limit"])
        assert (stop["peak"], stop["where"]) == (plan.peak, plan.where)
        assert stop["rows"] == list(dict.fromkeys(node.rows for node in plan.nodes))
        assert stop["seconds"] == pytest.approx(plan.seconds, rel=1e-3)
        assert stop["again"] == sum(n.multiply_adds for n in plan.nodes if n.recomputed)
        assert figures["nodes"] == [[n.id, n.layer, n.parameters] for n in plan.nodes]
        for node, number in zip(plan.nodes, stop["states"], strict=True):
            rows, activations, workspace, packed, saved, lent, again, forward, _ = figures[
                "states"
            ][number]
            assert (rows, activations, workspace) == (node.rows, node.activations, node.workspace)
            assert (packed, saved, forward) == (node.packed, node.saved, node.algorithm)
            assert (lent, again) == (node.lent, node.recomputed)
        assert stop["phases"] == "".join(LETTERS[moment.phase] for moment in plan.moments)
        assert list(accumulate(stop["at"])) == [moment.at for moment in plan.moments]
        columns = [list(accumulate(column)) for column in stop["bytes"]]
        for name, column in zip(PARTS, columns, strict=True):
            assert column == [getattr(moment, name) for moment in plan.moments]
        assert max(map(sum, zip(*columns, strict=True))) == plan.peak
    states = {stop["states"][0] for stop in figures["stops"]}
    assert len(states) > 1 or training  # what the slider shows differs


def test_every_algorithm_of_every_convolution_is_shown(shown):
    training, net, figures = shown
    found = [(c["node"], c["pass"]) for c in figures["convolutions"]]
    ids = [id for id, _, _ in figures["nodes"]]
    both = ["forward", "backward"] if training else ["forward"]
    turned = ["forward", "backward, input", "backward, weight"] if training else ["forward"]
    convolutions = [at for at, id in enumerate(ids) if "conv2d" in id or "first" in id]
    assert len(convolutions) == 3
    assert found == [
        (at, name)
        for at, names in zip(convolutions, (both, both, turned), strict=True)
        for name in names
    ]
    # nobody needs the gradient of the images, so the first layer makes none
    directions = ("forward", "weight")[: len(both)]
    for one, direction in zip(figures["convolutions"], directions, strict=False):
        table = fastconv.conv2d_costs((20, 4, 12, 12), (8, 4, 3, 3), padding=1, direction=direction)
        assert one["back"] == (direction == "weight")
        assert {name: cost[:2] for name, cost in one["costs"].items()} == {
            name: [cost.workspace, cost.packed] for name, cost in table.items()
        }
        assert one["costs"]["im2col"][0] > one["costs"]["direct"][0]
        for name, cost in table.items():
            assert one["costs"][name][2] == pytest.approx(cost.seconds, rel=1e-3)


def test_a_limit_that_is_asked_for_is_one_more_stop():
    net = network()
    limit = net.plan(20).peak // 3 + 1
    figures = Parsed(plot.plan_page(net, 20, memory_limit=limit)).figures
    assert figures["name"] == "Sequential"
    assert len(figures["stops"]) == LIMITS + 2
    assert figures["stops"][figures["start"]]["limit"] == limit
    limits = [stop["limit"] for stop in figures["stops"][:-1]]
    assert limits == sorted(limits)


def test_a_workspace_limit_holds_at_every_stop():
    convolution = ("Conv2D", {"filters": 32, "kernel_size": 3, "padding": 1})
    net = fastconv.Sequential([convolution, convolution], (16, 24, 24))
    found = {}
    for limit in (0, None):
        figures = Parsed(plot.plan_page(net, 4, workspace_limit=limit)).figures
        found[limit] = {state[2] for state in figures["states"]}
    assert found[0] == {0} and max(found[None]) > 0


def test_names_stay_text():
    page = plot.plan_page(network(name=TITLE, first=LAYER), 2)
    quiet = Parsed(plot.plan_page(network(name="quiet"), 2))
    parsed = Parsed(page)
    assert [tag for tag, _ in parsed.elements] == [tag for tag, _ in quiet.elements]
    assert page.count("</script") == 2 and "<!--" not in page
    assert parsed.figures["name"] == TITLE
    assert parsed.figures["nodes"][0][0].startswith(LAYER)
    assert "onerror" in parsed.texts["title"][0]
    assert page.isascii()


def test_the_page_needs_nothing_but_itself():
    page = plot.plan_page(network(), 2)
    parsed = Parsed(page)
    for tag, attributes in parsed.elements:
        assert not {"src", "srcset", "action", "data", "style"} & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert (attributes.get("href") or "#")[:1] in ("#", "d"), tag  # a place here, or data:
    for word in ("://", "@import", "url(", "fetch(", "XMLHttpRequest", "innerHTML", "import("):
        assert word not in page
    assert page.count("<script") == 2


def test_the_policy_admits_the_one_script_and_the_one_style():
    parsed = Parsed(plot.plan_page(network(), 2))
    policy = next(a["content"] for _, a in parsed.elements if "http-equiv" in a)
    _, script = parsed.texts["script"]
    (style,) = parsed.texts["style"]
    assert (script, style) == (SCRIPT, STYLE)
    for text, kind in ((script, "script-src"), (style, "style-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy


def test_what_the_script_looks_for_is_there():
    parsed = Parsed(plot.plan_page(network(), 2))
    ids = [a["id"] for _, a in parsed.elements if "id" in a]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'get\("([\w-]+)"\)', SCRIPT)) | {"data"}
    assert wanted <= set(ids)
    labelled = {
        a[key] for _, a in parsed.elements for key in ("for", "aria-labelledby") if key in a
    }
    described = {a["aria-describedby"] for _, a in parsed.elements if "aria-describedby" in a}
    assert labelled | described <= set(ids) and "limit" in labelled


def test_a_page_of_many_layers_is_small():
    page = plot.plan_page(fastconv.create_model("ResNet50"), 4)
    assert len(Parsed(page).figures["nodes"]) > 120
    assert len(page) < 500_000


@pytest.mark.slow
def test_a_page_of_training_many_layers_is_small():
    page = plot.plan_page(fastconv.create_model("ResNet50"), 100, training=True)
    assert len(page) < 1_000_000


def test_networks_without_convolutions_or_without_a_choice():
    dense = Parsed(plot.plan_page(fastconv.Sequential([("Dense", {"units": 2})], (3,)))).figures
    assert dense["convolutions"] == [] and len(dense["stops"]) >= 2
    view = Parsed(plot.plan_page(fastconv.Sequential(["Flatten"], (1, 2, 2)))).figures
    assert [stop["limit"] for stop in view["stops"]] == [0, None]
    x = fastconv.Input((2, 3))
    for training in (False, True):
        empty = Parsed(plot.plan_page(fastconv.Model(x, x), 3, training=training)).figures
        assert empty["nodes"] == [] and len(empty["stops"]) == 2


def test_a_network_made_for_inference():
    net = network().for_inference()
    figures = Parsed(plot.plan_page(net, 20)).figures
    assert (
        figures["stops"][0]["peak"] == net.plan(20, memory_limit=figures["stops"][0]["limit"]).peak
    )
    with pytest.raises(ArgumentError, match="^plan_page: training must be False"):
        plot.plan_page(net, training=True)


def test_refusals():
    net = network()
    with pytest.raises(ArgumentTypeError, match="^plan_page: net must be a network"):
        plot.plan_page(net.plan(1))
    with pytest.raises(ArgumentError, match="^plan_page: batch_size must be at least 1"):
        plot.plan_page(net, 0)
    with pytest.raises(MemoryLimitError, match="^plan_page: memory_limit must be at least") as e:
        plot.plan_page(net, 4, memory_limit=10)
    assert plot.plan_page(net, 4, memory_limit=e.value.least)
    named = [("Conv2D", {"filters": 8, "kernel_size": 3, "algorithm": "im2col"})]
    with pytest.raises(MemoryLimitError, match="^plan_page: workspace_limit must be at least"):
        plot.plan_page(fastconv.Sequential(named, (4, 9, 9)), workspace_limit=10)


def test_the_command_writes_the_page(capsys, tmp_path):
    net = network("net")
    net.save(tmp_path / "net.safetensors")
    words = ["plan", str(tmp_path / "net.safetensors"), "--batch", "7", "--training"]
    target = tmp_path / "plan.html"
    assert main([*words, "--memory-limit", "1 MB", "--html", str(target)]) == 0
    assert capsys.readouterr().out.endswith(f"as a page: {target}\n")
    expected = plot.plan_page(net, 7, training=True, memory_limit="1 MB")
    assert target.read_text(encoding="ascii") == expected
    assert main([*words, "--json", "--html", str(target)]) == 0
    json.loads(capsys.readouterr().out)
    for wrong in ("net.safetensors", "plan", "none/plan.html"):
        before = sorted(tmp_path.iterdir())
        assert main([*words, "--html", str(tmp_path / wrong)]) == 2
        assert "--html must" in capsys.readouterr().err and sorted(tmp_path.iterdir()) == before
