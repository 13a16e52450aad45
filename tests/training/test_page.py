"""The page about training names every loss and metric, with the settings that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import registry

PAGE = Path(__file__).parents[2] / "docs" / "training.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the tests stand without the pages")


def section(title):
    return re.search(rf"^## {title}\n(.*?)^## ", PAGE.read_text("utf-8"), re.M | re.S)[1]


@pytest.mark.parametrize(
    ("title", "where"), [("Losses", registry.losses), ("Metrics", registry.metrics)]
)
def test_the_tables_name_everything_with_its_settings(title, where):
    rows = dict(re.findall(r'^\| `"(\w+)"` \|.*\|(.*)\|$', section(title), re.M))
    assert rows.keys() == set(where.names())
    for name, said in rows.items():
        settings = registry.parameters_of(where.get(name)).values()
        defaults = [f"{s.name}={json.dumps(s.default)}".replace("null", "None") for s in settings]
        assert said.strip() == (f"`{', '.join(defaults)}`" if defaults else "")


@pytest.mark.parametrize("title", ["Losses", "Metrics"])
def test_the_examples_in_json_train(title):
    for text in re.findall(r"^```json\n(.*?)^```$", section(title), re.M | re.S):
        settings = json.loads(text)
        net = fastconv.Sequential([("Dense", {"units": 3})], input_shape=(4,), seed=0)
        net.compile(**settings["compile"])
        x, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
        assert net.fit(x, y, verbose=0, **settings["fit"]).history["loss"]
