"""Networks among threads, forks and real signals."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv.layers.parameter import Parameter
from fastconv.testing import assert_bits_equal
from fastconv.training import Momentum

LAYERS = [("Dense", {"units": 40}), "BatchNorm", "ReLU", ("Dense", {"units": 40})]


def number_of(weights: dict[str, np.ndarray]) -> float | None:
    """Return the number that all weights are, or None if they are a mixture."""
    found = {float(n) for array in weights.values() for n in np.unique(array)}
    return found.pop() if len(found) == 1 else None


def all_are(net: fastconv.Model, number: float) -> dict[str, np.ndarray]:
    return {key: np.full_like(value, number) for key, value in net.weights().items()}


def beside(disturb: list[Callable[[], Any]], work: Callable[[], Any]) -> None:
    """Do `work` while threads call the functions `disturb` again and again."""
    done, errors = threading.Event(), []

    def again(call: Callable[[], Any]) -> None:
        try:
            while not done.is_set():
                call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=again, args=(call,)) for call in disturb]
    for thread in threads:
        thread.start()
    try:
        work()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not errors, errors


@pytest.fixture
def often():
    """Let threads take turns more often than usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


COPIES: dict[str, Callable[[fastconv.Model, Any], dict[str, np.ndarray]]] = {
    "weights": lambda net, path: net.weights(),
    "save": lambda net, path: (net.save(path), fastconv.load(path).weights())[1],
    "save_weights": lambda net, path: (
        net.save_weights(path),
        _filled(net.to_config(), path).weights(),
    )[1],
    "pickle": lambda net, path: pickle.loads(pickle.dumps(net)).weights(),
    "deepcopy": lambda net, path: copy.deepcopy(net).weights(),
}


def _filled(config: Any, path: Any) -> fastconv.Model:
    net = fastconv.from_config(config)
    net.load_weights(path)
    return net


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("name", COPIES)
def test_copies_beside_changes_are_of_one_time(name, tmp_path):
    net = fastconv.Sequential(LAYERS, (30,), seed=0)
    sets = [all_are(net, number) for number in (1, 2)]
    net.set_weights(sets[0])
    found = []

    def work() -> None:
        for _ in range(40):
            found.append(number_of(COPIES[name](net, tmp_path / "net.safetensors")))

    beside([lambda: [net.set_weights(arrays) for arrays in sets]], work)
    assert set(found) <= {1.0, 2.0}


@pytest.mark.usefixtures("often")
def test_a_network_for_inference_beside_changes_is_of_one_time():
    net = fastconv.Sequential(LAYERS, (30,), seed=0)
    x, sets, answers = np.ones((2, 30), np.float32), [], []
    for number in (0.1, 0.2):
        sets.append(all_are(net, number))
        net.set_weights(sets[-1])
        answers.append(net.for_inference()(x).tobytes())
    found = []
    beside(
        [lambda: [net.set_weights(arrays) for arrays in sets]],
        lambda: [found.append(net.for_inference()(x).tobytes()) for _ in range(30)],
    )
    assert set(found) <= set(answers)


@pytest.mark.usefixtures("often")
def test_two_changes_at_once_leave_one_of_them(tmp_path):
    net = fastconv.Sequential(LAYERS, (30,), seed=0)
    sets = [all_are(net, number) for number in (1, 2)]
    for _ in range(60):
        gate = threading.Barrier(2)

        def change(arrays, gate=gate):
            gate.wait()
            net.set_weights(arrays)

        threads = [threading.Thread(target=change, args=(arrays,)) for arrays in sets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert number_of(net.weights()) in (1.0, 2.0)


@pytest.mark.usefixtures("often")
def test_a_layer_of_two_networks_changes_in_both_at_once():
    shared = fastconv.create_layer("Dense", units=40, name="shared")
    nets = []
    for last in ("first", "second"):
        x = fastconv.Input((30,))
        y = fastconv.create_layer("Dense", units=40, name=last)(shared(x))
        nets.append(fastconv.Model(x, y, seed=0))
    sets = [[all_are(net, number) for number in (1, 2)] for net in nets]
    for net, arrays in zip(nets, sets, strict=True):
        net.set_weights(arrays[0])
    found = []

    def work() -> None:
        for _ in range(100):
            weights = nets[0].weights()
            found.append(number_of({k: v for k, v in weights.items() if k.startswith("shared")}))

    beside([lambda i=i: [nets[i].set_weights(a) for a in sets[i]] for i in (0, 1)], work)
    assert None not in found
    # the pair stays a pair when both are pickled together
    one, other = pickle.loads(pickle.dumps(nets))
    assert one["shared"] is other["shared"]


@pytest.mark.usefixtures("often")
def test_steps_and_copies_beside_each_other():
    """A copy is of the time after a whole step: each moves all weights by the same."""
    net = fastconv.Sequential([("Dense", {"units": 40}), ("Dense", {"units": 40})], (30,), seed=0)
    net.set_weights(all_are(net, 0))
    net.compile("sgd", "mean_squared_error")
    optimizer, found = net.compiled.optimizer, []
    ones = {key: np.full(p.shape, -100, p.dtype) for key, p in net.trainable_parameters().items()}
    beside(
        [lambda: optimizer.update(net.trainable_parameters(), ones)],
        lambda: [found.append(net.weights()) for _ in range(100)],
    )
    assert all(len({float(a.flat[0]) for a in weights.values()}) == 1 for weights in found)
    assert all((a == a.flat[0]).all() for weights in found for a in weights.values())


def test_masked_arrays_are_looked_for_only_where_there_are_any(environment):
    """Their module takes long to import, and a child of fork might wait for it for ever."""
    code = """
import sys, numpy as np, fastconv
net = fastconv.Sequential([("Dense", {"units": 2})], (3,), seed=0)
net.set_weights({"dense_1/bias": [1, 2]})
net.compile("sgd", "mean_squared_error")
net.train_on_batch(net(np.ones((2, 3), np.float32)) @ np.ones((2, 3), np.float32), [[1, 2]] * 2)
assert "numpy.ma" not in sys.modules
try:
    net(np.ma.masked_array(np.ones((2, 3)), mask=True))
except TypeError as error:
    print(error)
"""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "got a masked one" in run.stdout, run.stderr


def test_views_of_a_network_s_own_weights():
    layers = [("Dense", {"units": 4, "name": name}) for name in "ab"]
    net = fastconv.Sequential(layers, (4,), seed=0)
    a, b = net.weights()["a/weight"], net.weights()["b/weight"]
    net.set_weights({"a/weight": net["b"].params["weight"], "b/weight": net["a"].params["weight"]})
    assert_bits_equal(net["a"].params["weight"], b)
    assert_bits_equal(net["b"].params["weight"], a)
    net["a"].set_params(weight=net["a"].params["weight"].T)
    assert_bits_equal(net["a"].params["weight"], np.ascontiguousarray(b.T))


FORKS = """
import os, signal, sys, threading, time
import numpy as np
import fastconv
from fastconv import registry

sys.setswitchinterval(1e-4)
conv = "Conv2D", {"filters": 20, "kernel_size": 3}
layers = [conv, "BatchNorm", "ReLU", "Flatten", ("Dense", {"units": 9})]
net = fastconv.Sequential(layers, (3, 9, 9), seed=0)
x = np.ones((2, 3, 9, 9), np.float32)
weights = net.weights()
net.compile("adam", "softmax_cross_entropy")
done = False

def changes():
    net.set_weights(weights)
    net(x)

def trains():
    net.train_on_batch(x, [1, 2])

def makes():
    other = fastconv.from_config(net.to_config(), seed=1)
    other.predict(x, memory_limit="1 MB")
    other.plan(3)

def names():
    with registry.isolated():
        fastconv.register_model(f"acme.Net{len(registry.models.names())}.v1")(dict)
        fastconv.list_layers()
        try:
            fastconv.create_layer("acme.Nothing")
        except fastconv.UnknownNameError:
            pass

def again(work):
    while not done:
        work()

works = changes, trains, makes, names
for work in works:
    work()  # a child cannot import what another thread was importing when it was made
threads = [threading.Thread(target=again, args=(work,)) for work in works]
for thread in threads:
    thread.start()
codes = []
for number in range(int(sys.argv[1])):
    time.sleep(0.002 * (number % 7))
    child = os.fork()
    if not child:
        signal.alarm(60)  # a child that hangs is ended
        net.set_weights(weights)
        right = net(x)
        net.train_on_batch(x, [1, 2])
        makes()
        names()
        net.set_weights(weights)
        os._exit(0 if np.array_equal(net(x), right) and np.isfinite(right).all() else 1)
    codes.append(os.waitpid(child, 0)[1])
done = True
for thread in threads:
    thread.join()
print(len(codes), set(codes))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_children_of_fork_beside_working_threads_answer(count, environment):
    command = [sys.executable, "-W", "ignore", "-c", FORKS, str(count)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=1800, env=environment)
    assert run.stdout.strip() == f"{count} {{0}}", run.stderr


SIGNALS = """
import gc, random, signal, sys, tracemalloc
import numpy as np
import fastconv
from fastconv import memory
from fastconv.layers import parameter

class Interrupt(BaseException):
    pass

lost = []
sys.unraisablehook = lambda args: lost.append(repr(args.exc_value))
sent = got = 0
armed = False

def handler(number, frame):
    global armed, sent
    if armed:
        armed = False
        sent += 1
        raise Interrupt

signal.signal(signal.SIGALRM, handler)
conv = "Conv2D", {"filters": 20, "kernel_size": 3}
layers = [conv, "BatchNorm", "ReLU", "Flatten", ("Dense", {"units": 9})]
net, judge = (fastconv.Sequential(layers, (3, 24, 24), seed=0) for _ in "12")
x = np.random.default_rng(0).standard_normal((4, 3, 24, 24)).astype(np.float32)
w = np.ones((8, 3, 3, 3), np.float32)
y = [0, 1, 2, 3]
net.compile("adam", "softmax_cross_entropy")
start = net.weights()
calls = [
    lambda: net.train_on_batch(x, y),
    lambda: fastconv.conv2d(x, w, algorithm="im2col"),
    lambda: net.set_weights(start),
    lambda: fastconv.conv2d_backward(np.ones((4, 8, 22, 22), np.float32), x, w),
    lambda: net(x),
]
rng = random.Random(0)

def interrupted(call):
    global armed, got
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(2e-5, 1e-3))
        while armed:
            call()
        armed = False
    except Interrupt:
        got += 1

def many(count):
    for number in range(count):
        interrupted(calls[number % len(calls)])
        if number % 50 == 0:
            answer = net(x)
            judge.set_weights(net.weights())
            assert np.array_equal(answer, judge(x))
            net.set_weights(start)

def held():
    net.gradients = {}
    for each in (net, judge):
        each.set_weights(start)  # lets go of what is packed
    memory.release()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]

many(200)
tracemalloc.start()
before = held()
many(int(sys.argv[1]))
kept = [piece for piece in memory._arena.pieces if not piece.free]
grown = held() - before
assert parameter._mutex.mine() is None and not kept and not memory._arena.pieces
assert grown < 100_000, grown
assert sent == got and not lost, (sent, got, lost[:5])
print(got - 200)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGALRM")
@pytest.mark.parametrize("count", [1_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_signals_leave_nothing_and_none_is_lost(count, environment):
    command = [sys.executable, "-c", SIGNALS, str(count)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=3600, env=environment)
    assert run.stdout.strip() == str(count), run.stderr


@pytest.mark.usefixtures("often")
def test_a_pickle_beside_steps_has_the_optimizer_of_its_weights():
    """All weights are equal, and follow from the number of steps that the optimizer has taken."""
    net = fastconv.Sequential([("Dense", {"units": 40, "bias": False})], (30,), seed=0)
    net.set_weights(all_are(net, 0))
    net.compile(("momentum", {"learning_rate": 1.0, "momentum": 0.5}), "mean_squared_error")
    gradient = {key: np.full(p.shape, -1, p.dtype) for key, p in net.trainable_parameters().items()}
    optimizer, found = net.compiled.optimizer, []
    weights, velocity = [0.0], 0.0  # after each number of steps, each computed once

    def work():
        nonlocal velocity
        for _ in range(60):
            other = pickle.loads(pickle.dumps(net))
            steps = int(other.compiled.optimizer.state_dict().get("steps/dense_1/weight", 0))
            while len(weights) <= steps:
                velocity = 0.5 * velocity + 1
                weights.append(weights[-1] + velocity)
            found.append(abs(other.weights()["dense_1/weight"].flat[0] - weights[steps]) < 1)

    beside([lambda: optimizer.update(net.trainable_parameters(), gradient)], work)
    assert all(found)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_of_an_optimizer_are_of_one_time(copied):
    """Its state is made for a hundred parameters at a step: all are as far as the first."""
    parameters = {str(n): Parameter(np.zeros(50), name="p") for n in range(100)}
    gradients = {key: np.ones(50) for key in parameters}
    optimizer, found = Momentum(momentum=0.0), []

    def work():
        for _ in range(60):
            optimizer.reset()
            state = copied(optimizer).state_dict()
            found.append(len({float(s.flat[0]) for k, s in state.items() if k[:3] == "vel"}) < 2)

    beside([lambda: optimizer.update(parameters, gradients)], work)
    assert all(found)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_of_a_layer_are_of_one_time(copied):
    net = fastconv.Sequential([("Dense", {"units": 300})], (300,), seed=0)
    layer, contents = net["dense_1"], [all_are(net, n) for n in range(3)]
    net.set_weights(contents[0])

    def change():
        for weights in contents:
            net.set_weights(weights)

    found = []
    beside([change], lambda: found.extend(dict(copied(layer).params) for _ in range(60)))
    assert all(number_of(weights) is not None for weights in found)


def test_a_pickle_has_the_weights_of_now_whatever_became_of_an_earlier_one():
    net = fastconv.Sequential([("Dense", {"units": 2})], (2,), seed=0)
    kept = net.__getstate__()  # as a traceback would keep it
    net.set_weights(all_are(net, 5))
    assert number_of(pickle.loads(pickle.dumps(net)).weights()) == 5
    assert kept
