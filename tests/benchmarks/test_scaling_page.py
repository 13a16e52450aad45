"""The page about many machines has what the measurement gives; its steps are reproduced."""

from __future__ import annotations

import doctest
import importlib
import re
from dataclasses import replace

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("own_modules")


@pytest.fixture
def found(measured):
    return measured.load()


# The measurement.


def test_the_simulation_reproduces_the_measured_steps(simulation, found):
    cases = importlib.import_module("scaling.networks").STEPS
    assert {case for case, _ in found.steps} == set(cases)
    for case, seconds in found.steps:
        made = simulation.simulate(found.works[case.network], found.two, found.job(case))
        assert made == pytest.approx(seconds, rel=0.1), case


def test_every_network_was_measured_and_is_what_its_plan_says(found):
    networks = importlib.import_module("scaling.networks").NETWORKS
    assert [network.name for network in networks] == list(found.works)
    for network in networks:
        plan = network.make().plan(1)
        assert found.works[network.name].parameter_bytes == plan.parameter_bytes
        assert found.multiply_adds[network.name] == plan.multiply_adds


def test_constants_are_split_from_steps(measured):
    cases = [(8, 1), (16, 1), (16, 2), (32, 2), (32, 4)]
    for wanted in ((1e-3, 2e-3, 3e-3), (1e-3, 0.0, 3e-3), (1e-3, 2e-3, 0.0)):
        times = np.array(cases) @ wanted[:2] + wanted[2]
        assert measured.split(cases, list(times)) == pytest.approx(wanted, abs=1e-12)


def test_no_constant_is_below_nothing(measured):
    found = measured.split([(8, 1), (16, 1), (16, 2)], [1.0, 2.1, 2.0])
    assert min(found) == 0 and found[0] == pytest.approx(0.13, rel=0.05)


# The page.


def test_the_tables_are_those_of_the_measurement(page, found):
    text = page.PAGE.read_text(encoding="utf-8")
    assert re.findall(r"<!-- made: (\w+) -->", text) == list(page.TABLES)
    assert page.written(text, found) == text, "make scale-page writes them"


def test_numbers_are_written_for_readers(page):
    tried = doctest.testmod(page)
    assert tried.attempted and not tried.failed


def test_other_constants_make_other_tables(page, found):
    """Each table follows from the measurement, or from the assumptions that the page states."""
    slower = {name: replace(work, row=work.row * 3) for name, work in found.works.items()}
    link = replace(found.link, overhead=found.link.overhead * 3)
    other = replace(found, works=slower, link=link, adding=found.adding * 3)
    same = {name for name, table in page.TABLES.items() if table(found) == table(other)}
    assert same == {"late", "faults"}


# What its sentences say.


@pytest.fixture
def machines(own_modules, found):
    predictions = importlib.import_module("scaling.predictions")
    links = importlib.import_module("scaling.constants").LINKS
    return {name: predictions.Machines(found, link) for name, link in links.items()}


def test_the_rule_is_near_the_model(model, found, machines):
    """The whole batch / (one nth of it + the gradients twice over the network)."""
    ranks = importlib.import_module("scaling.predictions").RANKS
    for kind in machines.values():
        for name in found.works:
            work, modelled = kind.work(name), kind.strong(name, 256)[ranks.index(8)]
            twice = 2 * work.parameter_bytes / kind.link.bandwidth
            rule = model.alone(work, 256) / (model.alone(work, 32) + twice)
            assert rule == pytest.approx(modelled, rel=0.2), name


def test_convolutions_gain_more_than_dense_layers(machines):
    kind = machines["1 Gbit/s"]
    eight = importlib.import_module("scaling.predictions").RANKS.index(8)
    dense, convolutions = (kind.strong(name, 256)[eight] for name in ("AlexNet", "ResNet50"))
    assert convolutions > 2 * dense


def test_small_images_do_not_need_eight_machines_and_photographs_do(machines):
    eight = importlib.import_module("scaling.predictions").RANKS.index(8)
    small = ("SimpleConvNet", "DeepConvNet", "DigitsNet", "KerasMNIST", "LeNet5")
    for name in (*small, "ResNet18 on 32x32"):
        assert machines["1 Gbit/s"].strong(name, 256)[eight] < 2
    for name in ("VGG16", "ResNet18", "ResNet50", "MobileNetV1", "MobileNetV2"):
        assert 2.5 < machines["10 Gbit/s"].strong(name, 256)[eight] < 7.5
    # nearly all of its gradients are of dense layers
    assert 1 < machines["10 Gbit/s"].strong("AlexNet", 256)[eight] < 2.5


def test_pieces_that_are_no_powers_of_two_send_more(collectives, machines):
    cluster = machines["10 Gbit/s"].cluster(3)
    sent = [collectives.leaving("fixed", cluster, 1.0, shards) for shards in (3, 16)]
    assert collectives.partial_sums(16, 3) == 3 and sent[1] == pytest.approx(2 * sent[0])
