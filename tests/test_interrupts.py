"""Signals: whose handler raises, at any point, and whose handler uses what was interrupted.

What must hold after an interrupt: the network, a file of it and its answers agree, nothing is
locked or kept, and the next call is right.
"""

from __future__ import annotations

import copy
import faulthandler
import pickle
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupting import at_step, interrupted, some, steps

import fastconv
from fastconv import memory, registry
from fastconv.layers import parameter
from fastconv.testing import assert_bits_equal

LAYERS = [
    ("Conv2D", {"filters": 17, "kernel_size": 2}),
    "BatchNorm",
    "ReLU",
    "Flatten",
    ("Dropout", {"rate": 0.1}),
    ("Dense", {"units": 3}),
]


class Scene:
    """A network, its weights before and after what is interrupted, and files of both."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((6, 1, 3, 3)).astype(np.float32)
        self.y = np.arange(6) % 3
        self.net, self.judge = (fastconv.Sequential(LAYERS, (1, 3, 3), seed=0) for _ in "12")
        self.old = self.net.weights()
        self.new = {k: v + rng.uniform(0.1, 0.5, v.shape) for k, v in self.old.items()}
        self.new = {k: v.astype(np.float32) for k, v in self.new.items()}
        self.paths = {name: folder / f"{name}.safetensors" for name in ("old", "new", "out")}
        self.net.save(self.paths["old"])
        self.judge.set_weights(self.new)
        self.judge.save(self.paths["new"])
        self.net.compile("adam", "softmax_cross_entropy", ["accuracy"])
        self.folder, self.files = folder, open_files()

    def start(self) -> None:
        """Be as before the call, with packed weights of what is there."""
        self.net.set_weights(self.old)
        self.net(self.x)

    def check(self, with_file: bool) -> None:
        """The network answers as its weights say, and a file of it, now and after all."""
        answer = self.net(self.x)
        self.judge.set_weights(self.net.weights())
        assert_bits_equal(answer, self.judge(self.x))
        assert_bits_equal(self.net(self.x), answer)
        if with_file:
            path = self.folder / "checked.safetensors"
            self.net.save(path)
            assert_bits_equal(fastconv.load(path)(self.x), answer)


def open_files() -> int:
    """Return how many files the process has open, where the system tells."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def nothing_is_kept(scene: Scene) -> None:
    assert all(piece.free for piece in memory._arena.pieces), "a block of the arena is kept"
    assert not [ref for ref in memory._trackers.get() if ref() is not None]
    assert memory._recycling.get() is None and not memory._frugal.get()
    assert parameter._mutex.mine() is None, "the weights are locked"
    assert set(np.geterr().values()) == {"raise"}, "NumPy's error state is another"
    assert open_files() == scene.files, "a file is open"
    assert not list(scene.folder.glob(".fastconv*")), "a file that was being written is left"


Operation = Callable[[Scene], Any]
FIT: dict[str, Any] = {"epochs": 1, "batch_size": 3, "verbose": 0}
CHANGES: dict[str, Operation] = {
    "set_weights": lambda s: s.net.set_weights(s.new),
    "set_params": lambda s: s.net["dense_1"].set_params(
        weight=s.new["dense_1/weight"], bias=s.new["dense_1/bias"]
    ),
    "load_weights": lambda s: s.net.load_weights(s.paths["new"]),
    "train_on_batch": lambda s: s.net.train_on_batch(s.x, s.y),
    "fit": lambda s: s.net.fit(s.x, s.y, validation_data=(s.x, s.y), **FIT),
    "fit with a limit": lambda s: s.net.fit(s.x, s.y, memory_limit="1 MB", **FIT),
    "freeze": lambda s: (s.net.freeze("conv*"), s.net.unfreeze()),
}
READS: dict[str, Operation] = {
    "call": lambda s: s.net(s.x),
    "call with a limit": lambda s: s.net(s.x, memory_limit="1 MB"),
    "predict": lambda s: s.net.predict(s.x, batch_size=4),
    "weights": lambda s: s.net.weights(),
    "save": lambda s: s.net.save(s.paths["out"]),
    "save_weights": lambda s: s.net.save_weights(s.paths["out"]),
    "load": lambda s: fastconv.load(s.paths["old"]),
    "load for inference": lambda s: fastconv.load(s.paths["old"], for_inference=True),
    "for_inference": lambda s: s.net.for_inference(),
    "pickle": lambda s: pickle.loads(pickle.dumps(s.net)),
    "deepcopy": lambda s: copy.deepcopy(s.net),
    "make": lambda s: fastconv.Sequential(LAYERS, (1, 3, 3), seed=0),
    "make later": lambda s: fastconv.from_config(s.net.to_config(), seed=0)(s.x),
    "conv2d": lambda s: fastconv.conv2d(s.x, s.old["conv2d_1/weight"], algorithm="im2col"),
}


# A file that is opened and not yet in a `with` statement is closed as it dies, with a warning.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def interrupt_everywhere(scene: Scene, operation: Operation, most: int) -> None:
    """Interrupt `operation` at up to `most` steps, and check after each."""
    scene.start()
    operation(scene)  # what is made once
    scene.start()
    count = steps(lambda: operation(scene))
    came = 0
    for number, step in enumerate(some(count, most)):
        scene.start()
        error = interrupted(lambda: operation(scene), step)
        came += error is not None
        scene.check(with_file=number % 10 == 0)
        del error  # until now the traceback kept all frames, as sys.last_exc does
        nothing_is_kept(scene)
    assert came > 0.9 * min(count, most) / 2


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with np.errstate(all="raise"):
        yield Scene(tmp_path)


@pytest.mark.parametrize("name", CHANGES)
def test_an_interrupted_change(name, scene):
    interrupt_everywhere(scene, CHANGES[name], 60 if "fit" in name else 120)
    scene.start()
    CHANGES[name](scene)  # the next call is right
    scene.check(with_file=True)


@pytest.mark.parametrize("name", READS)
def test_an_interrupted_reader(name, scene):
    interrupt_everywhere(scene, READS[name], 50)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CHANGES, *READS])
def test_interrupts_before_every_bytecode(name, scene):
    interrupt_everywhere(scene, {**CHANGES, **READS}[name], 10_000)


HANDLERS: dict[str, Operation] = {
    "answers": lambda s: s.net(s.x),
    "changes": lambda s: s.net.set_weights(s.new),
    "saves": lambda s: s.net.save(s.paths["out"]),
    "trains": lambda s: s.net.train_on_batch(s.x, s.y),
    "copies": lambda s: copy.deepcopy(s.net).for_inference()(s.x),
}


def handle_everywhere(scene: Scene, operation: Operation, handler: Operation, most: int) -> None:
    """Run `handler` in the middle of `operation`, at up to `most` steps of it."""
    for warm in (handler, operation):
        scene.start()
        warm(scene)
    scene.start()
    count = steps(lambda: operation(scene))
    for number, step in enumerate(some(count, most)):
        scene.start()
        at_step(lambda: operation(scene), step, lambda: handler(scene))
        scene.check(with_file=number % 10 == 0)
        nothing_is_kept(scene)


@pytest.fixture
def no_deadlock():
    """End the process, with all tracebacks, where a test hangs for minutes."""
    faulthandler.dump_traceback_later(600, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


WORK = ("set_weights", "train_on_batch", "call", "make later")


@pytest.mark.usefixtures("no_deadlock")
@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", WORK)
def test_a_handler_may_use_what_it_interrupts(name, handler, scene):
    handle_everywhere(scene, {**CHANGES, **READS}[name], HANDLERS[handler], 15)
    if name == "set_weights" and handler in ("answers", "saves", "copies"):
        for key, value in scene.net.weights().items():
            assert_bits_equal(value, scene.new[key])


@pytest.mark.slow
@pytest.mark.usefixtures("no_deadlock")
@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", [*CHANGES, *READS])
def test_handlers_before_every_bytecode(name, handler, scene):
    handle_everywhere(scene, {**CHANGES, **READS}[name], HANDLERS[handler], 2_000)


class Late(Exception):
    """What handlers of timers usually raise: no KeyboardInterrupt, but an error like any other."""


@pytest.fixture
def alarm() -> Iterator[Callable[[], None]]:
    """Send a signal whose handler raises an ordinary error."""

    def handler(number: int, frame: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGINT, handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def passes(alarm: Callable[[], None], call: Callable[[], Any], step: int) -> bool | None:
    """Whether what the handler raises before the bytecode `step` comes out; None if none came."""
    came = []
    try:
        at_step(call, step, lambda: (came.append(step), alarm()))
    except Late:
        return True
    except Exception:  # as another error
        return False
    return False if came else None


@pytest.mark.parametrize("name", ["load", "load_weights", "make", "make later", "compile", "fit"])
def test_an_error_of_a_handler_is_neither_lost_nor_taken_for_one_of_a_layer(name, scene, alarm):
    compiles = {"compile": lambda s: s.net.compile("adam", "softmax_cross_entropy", ["accuracy"])}
    operation = {**CHANGES, **READS, **compiles}[name]
    scene.start()
    operation(scene)
    scene.start()
    count = steps(lambda: operation(scene))
    found = [passes(alarm, lambda: operation(scene), step) for step in some(count, 200)]
    assert False not in found and found.count(True) > 0.9 * len(found)


def test_a_plugin_that_is_interrupted_can_be_loaded_later(alarm, monkeypatch, tmp_path):
    (tmp_path / "slow_plugin.py").write_text(
        "import fastconv, signal\n"
        "signal.raise_signal(signal.SIGINT)\n"
        "class Slow(fastconv.Layer):\n"
        "    def infer(self, *specs): return specs[0]\n"
    )
    folder = tmp_path / "slow_plugin-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: slow_plugin\nVersion: 1\n")
    points = "[fastconv.layers]\nslow.Slow.v1 = slow_plugin:Slow\n"
    (folder / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    with registry.isolated():
        with pytest.raises(Late):
            fastconv.create_layer("slow.Slow")
        signal.signal(signal.SIGINT, lambda *_: None)
        assert fastconv.create_layer("slow.Slow").name is None
