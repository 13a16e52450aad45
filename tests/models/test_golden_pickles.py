"""Pickles of an earlier version, in which modules stood elsewhere, load and serve."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv.models import InferenceModel, Model, Node, Plan, Sequential
from fastconv.testing import assert_bits_equal, assert_close
from fastconv.training import Compiled, History

FILE = Path(__file__).parents[1] / "golden" / "pickled_v1.pkl"


@pytest.fixture
def old() -> dict[str, Any]:
    return pickle.loads(FILE.read_bytes())


def test_they_are_what_they_were(old):
    kinds = {
        "sequential": Sequential,
        "model": Model,
        "inference": InferenceModel,
        "plan": Plan,
        "limited": Plan,
        "history": History,
        "node": Node,
        "layer": fastconv.layers.Conv2D,
        "compiled": Compiled,
        "spec": fastconv.Spec,
    }
    assert {name: type(old[name]) for name in kinds} == kinds


def test_networks_run_and_go_on_learning(old):
    net, x = old["sequential"], old["x"]
    for key, value in net.weights().items():
        assert_bits_equal(value, old["weights"][key])
    assert_close(net(x), old["y"], factor=10)  # sums are those of this instruction set
    assert_close(old["inference"](x), old["y"], factor=10)
    assert net.compiled.epoch == 2
    net.fit(x, np.array([0, 1, 2, 0]), epochs=1, verbose=0, batch_size=2)
    assert net.compiled.epoch == 3
    assert old["model"](np.ones((2, 4), "float32")).shape == (2, 4)
    assert fastconv.Model(old["node"].parents[0], old["node"]).count_params() == 20


def test_plans_are_shown_and_equal_those_of_now(old):
    net = old["sequential"]
    assert str(old["plan"]).startswith("plan of training, batch of 2")
    now = net.plan(2, training=True)  # packed weights and scratch memory are of this machine
    assert [(n.id, n.activations) for n in old["plan"].nodes] == [
        (n.id, n.activations) for n in now.nodes
    ]
    assert old["limited"].nodes[0].rows < 100 and old["limited"].program.stages
    assert list(old["history"].history) == ["loss", "accuracy"]


def test_what_is_pickled_now_names_modules_of_now(old):
    again = pickle.dumps({name: old[name] for name in ("sequential", "model", "plan", "node")})
    for moved in ("plan", "program", "schedule", "weights"):
        name = f"fastconv.models.{moved}".encode() + b"\x94"  # and nothing behind it
        assert name not in again and name in FILE.read_bytes()
    assert pickle.loads(again)["sequential"](old["x"]).shape == (4, 3)
