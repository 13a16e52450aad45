"""Configurations that were changed at random: a network, or an error of ours, and nothing else."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

import fastconv
from fastconv.errors import ConfigError

CHAIN = {
    "input_shape": [1, 8, 8],
    "layers": [
        [
            "Conv2D",
            {
                "filters": 4,
                "kernel_size": 3,
                "padding": "same",
                "initializer": ["gaussian", {"std": 0.1}],
            },
        ],
        "ReLU",
        ["MaxPool2D", {"pool_size": 2}],
        ["Dropout", {"rate": 0.5}],
        "BatchNorm",
        {"layer": "Flatten", "id": "flat"},
        ["Dense", {"units": 3, "name": "head"}],
        "Softmax",
    ],
}
VALUES = [
    None,
    True,
    0,
    1,
    -1,
    2**31,
    2**63,
    1.5,
    -0.0,
    3e-320,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "same",
    "relu",
    "ReLU",
    "\ud800",
    "a" * 200,
    [],
    [[]],
    {},
    {"a": 1},
    [1, 2, 3],
    [0],
    [None] * 3,
    [[1, 1], [1, 1]],
    "fastconv.ReLU.v1",
    "fastconv.ReLU.v2",
    "os.system",
    "conv2d_1",
    ["x"],
    ["he"],
    ["constant", {"value": [1]}],
    [1] * 50,
]
KEYS = ["id", "layer", "config", "from", "use", "filters", "units", "name", "strides", "", 5, None]


def branching() -> dict[str, Any]:
    x = fastconv.Input((2, 6, 6))
    conv = fastconv.create_layer("Conv2D", filters=2, kernel_size=3, padding=1, name="c")
    sums, all_of = fastconv.create_layer("Add"), fastconv.create_layer("Concatenate")
    return fastconv.Model(x, [sums(conv(x), x), all_of(conv(conv(x)), x)]).to_config()


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys that lead to every part of a configuration but the whole."""
    if above:
        yield above
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*above, key))


def at(config: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        config = config[key]
    return config


def changed(config: Any, rng: random.Random) -> Any:
    """Return a copy with a part or two replaced, left out, added, moved or wrapped."""
    config = copy.deepcopy(config)
    for _ in range(rng.choice([1, 1, 2, 3])):
        found = list(places(config))
        if not found:
            break
        place = rng.choice(found)
        owner, key, value = at(config, place[:-1]), place[-1], copy.deepcopy(rng.choice(VALUES))
        what = rng.choice(["replace", "replace", "delete", "add", "move", "wrap"])
        if what == "replace":
            owner[key] = value
        elif what == "delete":
            del owner[key]
        elif what == "add" and isinstance(owner, dict):
            owner[rng.choice(KEYS)] = value
        elif what == "add":
            owner.insert(rng.randrange(len(owner) + 1), value)
        elif what == "move":
            owner[key] = copy.deepcopy(at(config, rng.choice(found)))
        else:
            owner[key] = {"a": owner[key]}
    return config


def damaged(text: str, rng: random.Random) -> bytes:
    """Return a JSON text with some bytes changed, left out or added."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(rng.choice([1, 2, 5])):
        place = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[place] = rng.randrange(256)
        else:
            added = bytes(rng.choice(b'{}[]",:0123e\\u') for _ in range(rng.randrange(9)))
            data[place : place + rng.randrange(9)] = added
    return bytes(data)


def use(given: Any) -> bool:
    """Make a network of it, and all that can be said of one; whether it is one."""
    try:
        net = fastconv.from_config(given)
    except ConfigError as error:
        assert error.problems and all(isinstance(problem, str) for problem in error.problems)
        return False
    config = net.to_config()
    assert fastconv.from_config(json.loads(json.dumps(config))).to_config() == config
    net.summary()
    if net.count_params() < 10**6:
        net.plan(2, training=True)
    return True


@pytest.mark.parametrize("form", ["values", "text", "bytes"])
@pytest.mark.parametrize("start", ["chain", "full", "branching"])
def test_a_changed_configuration_is_a_network_or_an_error_of_ours(start, form):
    config = {
        "chain": lambda: CHAIN,
        "full": lambda: fastconv.from_config(CHAIN).to_config(),
        "branching": branching,
    }[start]()
    rng = random.Random(f"{start} {form}")
    networks = 0
    for _ in range(150):
        given = changed(config, rng) if form != "bytes" else config
        if form != "values":
            given = json.dumps(given)
        networks += use(damaged(given, rng) if form == "bytes" else given)
    assert networks < 150 and (networks or form == "bytes")
