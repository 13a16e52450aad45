"""What networks learn from: rows that are read, iterables of batches, weights, splits."""

from __future__ import annotations

import signal
import sys
import threading
import time

import numpy as np
import pytest

import fastconv
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataWarning,
    MemoryLimitError,
    ShapeError,
    TrainingError,
)
from fastconv.training import Callback
from fastconv.training.losses import Loss

ROWS = 37


class ByNumber:
    def __init__(self, array, wait=0.0):
        self.array, self.wait, self.asked = array, wait, []

    def __len__(self):
        return len(self.array)

    def __getitem__(self, row):
        assert type(row) is int
        time.sleep(self.wait)
        self.asked.append(row)
        return self.array[row]


class ByNumbers(ByNumber):
    def __init__(self, array):
        super().__init__(array)
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, rows):
        assert (np.diff(rows) > 0).all()
        self.asked.extend(rows.tolist())
        return self.array[rows]


class Batches:
    """Begins anew each time, as a loader of data does."""

    def __init__(self, x, y, size=10, weights=None, count=None):
        self.parts = [
            (
                x[i : i + size],
                y[i : i + size],
                *([] if weights is None else [weights[i : i + size]]),
            )
            for i in range(0, len(x), size)
        ]

    def __iter__(self):
        return iter(self.parts)


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    return rng.standard_normal((ROWS, 2, 4, 4)).astype(np.float32), np.arange(ROWS) % 3


def network(loss="softmax_cross_entropy", metrics="accuracy", layers=(), units=3):
    layers = [("Conv2D", {"filters": 3, "kernel_size": 3}), "ReLU", *layers, "Flatten"]
    net = fastconv.Sequential([*layers, ("Dense", {"units": units})], (2, 4, 4), seed=0)
    net.compile(("sgd", {"learning_rate": 0.1}), loss, metrics)
    return net


def trained(x, y=None, *, limit=None, **settings):
    """Return the weights and figures of a fit, as bytes and numbers."""
    net = network()
    given = {"epochs": 3, "verbose": 0, "memory_limit": limit}
    if y is not None:  # batches have sizes of their own
        given["batch_size"] = 10
    history = net.fit(x, y, **{**given, **settings})
    return {key: value.tobytes() for key, value in net.weights().items()}, history.history


def mapped(tmp_path, array):
    path = tmp_path / "array.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", ["numbers", "number", "mapped", "labels too"])
def test_read_rows_give_the_bits_of_arrays(kind, shuffle, data, tmp_path):
    x, y = data
    given = {
        "numbers": lambda: (ByNumbers(x), y),
        "number": lambda: (ByNumber(x), y),
        "mapped": lambda: (mapped(tmp_path, x), y),
        "labels too": lambda: (ByNumber(x), ByNumbers(y)),
    }[kind]()
    before = threading.active_count()
    found = trained(*given, shuffle=shuffle, validation_data=(given[0], y))
    assert found == trained(x, y, shuffle=shuffle, validation_data=(x, y))
    assert threading.active_count() == before


def test_rows_are_read_once_an_epoch(data):
    x, y = ByNumber(data[0]), ByNumber(data[1])
    trained(x, y)
    assert sorted(x.asked[2:]) == sorted(3 * list(range(ROWS)))  # two of the first row try it
    assert len(y.asked) == 1 + 4 * ROWS  # all labels are checked before the first step


def test_a_wrong_label_among_read_ones_is_found_before_the_first_step(data):
    x, y = data[0], data[1].copy()
    y[-1] = 77
    net = network()
    with pytest.raises(ArgumentError, match="labels must be 0 to 2 for 3 outputs, got 77$"):
        net.fit(x, ByNumber(y), verbose=0)
    assert net.compiled.step == 0
    with pytest.raises(ArgumentTypeError, match="labels must be integers, got dtype float64$"):
        net.fit(x, ByNumber(y + 0.5), verbose=0)
    shaped = ByNumbers(np.zeros((ROWS, 2), int))
    text = rf"targets must be labels of shape \({ROWS},\) or shares of shape \({ROWS}, 3\), got"
    with pytest.raises(ShapeError, match=text):
        net.fit(x, shaped, verbose=0)


@pytest.mark.parametrize("weights", [False, True])
def test_batches_of_an_iterable_give_the_bits_of_rows(weights, data):
    x, y = data
    counts = np.arange(ROWS) % 4 + 0.5 if weights else None
    expected = trained(x, y, shuffle=False, sample_weight=counts, validation_data=(x, y))
    for batches in (Batches(x, y, weights=counts), Batches(x, y, weights=counts).parts):
        found = trained(batches, validation_data=Batches(x, y))
        assert found == expected
    assert trained(iter(Batches(x, y, weights=counts)), epochs=1)[1]["loss"] == [
        expected[1]["loss"][0]
    ]


def test_batches_that_nobody_has_counted_are_counted_on_a_terminal(data, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    trained(Batches(*data), verbose=1)
    out = capsys.readouterr().out
    assert "epoch 1/3 batch 0" in out and "  0 %" not in out
    trained(Numbered(Batches(*data)), verbose=1)
    out = capsys.readouterr().out
    assert "  0 %" in out and "batch" not in out


class Numbered:
    """Gives batches by number, as some loaders do."""

    def __init__(self, batches):
        self.parts = batches.parts

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, number):
        return self.parts[number]


def test_batches_by_number_are_an_iterable(data):
    batches = Batches(*data)
    seen = []
    found = trained(Numbered(batches), callbacks=lambda run, *_: seen.append(run.batches))
    assert found == trained(batches) and seen == [4, 4, 4]


def test_evaluate_takes_what_fit_takes(data):
    x, y = data
    net = network()
    expected = net.evaluate(x, y, batch_size=10)
    for given in ((ByNumber(x), y), (ByNumbers(x), ByNumber(y))):
        assert net.evaluate(*given, batch_size=10) == expected
    assert net.evaluate(Batches(x, y)) == expected
    weights = np.arange(ROWS) % 2
    some = net.evaluate(x[1::2], y[1::2])
    for given in ({"x": x, "y": y, "sample_weight": weights}, {"x": Batches(x, y, 7, weights)}):
        found = net.evaluate(**given)
        assert found == {name: pytest.approx(figure, rel=1e-12) for name, figure in some.items()}
    least = []
    for batch in (x[:10], ByNumbers(x[:10])):
        with pytest.raises(MemoryLimitError) as caught:
            net.evaluate(batch, y[:10], memory_limit=1)
        least.append(caught.value.least)
    maps, outputs, row = 4 * 3 * 2 * 2, 4 * 3, 4 * 2 * 4 * 4
    # a gathered row lies beside all maps; otherwise the figures of the outputs take most
    assert least[0] < least[1] == maps + outputs + row
    assert net.evaluate(Batches(x, y), memory_limit=least[1] + 2000) == {
        name: pytest.approx(figure, rel=1e-6) for name, figure in expected.items()
    }


@pytest.mark.parametrize(
    ("x", "settings", "text"),
    [
        (lambda b: iter(b), {}, "epochs must be 1 where x is an iterator, .*got 3; give an iter"),
        (lambda b: b, {"y": [1]}, "y must be None where x is an iterable of batches, got l"),
        (lambda b: b, {"sample_weight": [1]}, "sample_weight must be None where x is an iterable"),
        (lambda b: b, {"validation_split": 0.1}, "validation_split must be None .*validation_data"),
        (lambda b: b, {"class_weight": "balanced"}, "class_weight must be a dict for an iterable"),
        (lambda b: b.parts[0][0], {}, "y must be an array"),
        (lambda b: [1, 2], {}, "Model: x must have shape"),
        (lambda b: iter([]), {"epochs": 1}, "x must give at least one batch, got none"),
        (lambda b: iter([3]), {"epochs": 1}, r"must give batches \(x, y\).*got int as batch 1; ro"),
        (lambda b: [(p[0], None) for p in b.parts], {}, "y must be an array .*got NoneType"),
        (lambda b: [(p[0], p[1][1:]) for p in b.parts], {}, "y must have as many rows as x, 10"),
        (
            lambda b: Numbered(Rows(b)),
            {},
            "x must give batches of rows, got a single row as item 1; rows c",
        ),
        (
            lambda b: Numbered(Rows(b)),
            {"batch_size": 10},
            "batch_size must be left out .*got 10; if it gives single rows: rows come as two obj",
        ),
    ],
)
def test_iterables_that_are_refused(x, settings, text, data):
    before = threading.active_count()
    net = network()
    with pytest.raises((ArgumentError, ArgumentTypeError), match=text):
        net.fit(x(Batches(*data)), **{"epochs": 3, "verbose": 0, **settings})
    assert net.compiled.step == 0 and threading.active_count() == before


class Rows:
    """A data set of single rows, (image, label), as other libraries have it."""

    def __init__(self, batches):
        self.parts = [
            (image, label) for x, y in batches.parts for image, label in zip(x, y, strict=True)
        ]


def test_a_validation_that_can_run_once_is_refused(data):
    with pytest.raises(ArgumentError, match="epochs must be 1 where validation_data is an iter"):
        trained(*data, validation_data=iter(Batches(*data)))
    once = trained(*data, validation_data=iter(Batches(*data)), epochs=1)
    assert once == trained(*data, validation_data=data, epochs=1)


@pytest.mark.parametrize("size", [20, 13, 10])
def test_a_list_of_any_number_of_batches_is_a_validation(data, size):
    batches = Batches(*data, size=size).parts
    assert len(batches) in (2, 3, 4)
    found = trained(*data, validation_data=batches, epochs=1)
    assert found == trained(*data, validation_data=Batches(*data, size=size), epochs=1)


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda x, y: (x, y[1:]), "fit: validation_data: y must have as many rows as x, 37"),
        (lambda x, y: (x[:, :, 1:], y), "fit: validation_data: Model: x must have shape"),
    ],
)
def test_what_is_wrong_in_a_validation_is_said_of_it(data, change, text):
    with pytest.raises(ShapeError, match=text):
        trained(*data, validation_data=change(*data), epochs=1)


def test_a_transform_is_compared_by_its_settings_when_a_run_goes_on(data, tmp_path):
    path = tmp_path / "run.safetensors"
    shift = fastconv.data.shift
    settings = {"epochs": 4, "batch_size": 10, "verbose": 0}
    whole = network()
    whole.fit(*data, transform=shift(1), **settings)
    first = network()
    first.fit(
        *data,
        transform=shift(1),
        **{**settings, "epochs": 2},
        callbacks=[("checkpoint", {"path": path})],
    )
    for other in (shift(2), fastconv.data.flip(), None):
        with pytest.raises(ArgumentError, match="fit: transform"):
            network().fit(*data, transform=other, resume=path, **settings)
    net = network()
    net.fit(*data, transform=shift(1), resume=path, **settings)
    for key, value in net.weights().items():
        np.testing.assert_array_equal(value, whole.weights()[key])
    with pytest.raises(ArgumentTypeError, match="x must be an iterable that begins anew"):
        network().fit(iter(Batches(*data)), resume=path, epochs=1, verbose=0)


# Weights


def test_a_row_of_weight_0_is_left_out_and_one_of_2_counts_twice(data):
    x, y = data
    twice = np.concatenate([np.arange(10), np.arange(10, 20).repeat(2)])
    weights = np.select([np.arange(ROWS) < 10, np.arange(ROWS) < 20], [1, 2], 0)
    nets = [network(), network()]
    nets[0].fit(x, y, sample_weight=weights, epochs=2, batch_size=100, verbose=0)
    nets[1].fit(x[twice], y[twice], epochs=2, batch_size=100, shuffle=False, verbose=0)
    for key, value in nets[0].weights().items():
        np.testing.assert_allclose(value, nets[1].weights()[key], rtol=1e-4, atol=1e-6)
    figures = [net.history.history for net in nets]
    np.testing.assert_allclose(figures[0]["loss"], figures[1]["loss"], rtol=1e-6)
    np.testing.assert_allclose(figures[0]["accuracy"], figures[1]["accuracy"], rtol=1e-6)


@pytest.mark.parametrize(
    "class_weight", [{1: 3.0, 0: 0.5}, [0.5, 3, 1], np.array([0.5, 3, 1]), {np.int8(0): 0.5, 1: 3}]
)
def test_class_weights_multiply_those_of_rows(class_weight, data):
    x, y = data
    sample = np.arange(ROWS) % 5 + 1.0
    both = sample * np.array([0.5, 3, 1])[y]
    expected = trained(x, y, sample_weight=both)
    assert trained(x, y, sample_weight=sample, class_weight=class_weight) == expected
    one_hot = np.eye(3)[y]
    found = trained(x, one_hot, sample_weight=sample, class_weight=class_weight)
    assert found[1]["loss"] == pytest.approx(expected[1]["loss"], rel=1e-5)
    alone = trained(x, y, class_weight=class_weight)
    assert alone == trained(x, y, sample_weight=np.array([0.5, 3, 1])[y])
    assert trained(Batches(x, y), class_weight=class_weight) == trained(
        x, y, shuffle=False, class_weight=class_weight
    )


@pytest.mark.parametrize("kind", [lambda y: y, ByNumber, lambda y: np.eye(3)[y]])
def test_balanced_classes_count_alike_together(kind, data):
    x, y = data[0], np.array([0] * 30 + [1] * 6 + [2])
    found = trained(x, kind(y), class_weight="balanced")
    by_hand = trained(x, kind(y), class_weight=ROWS / (3 * np.array([30, 6, 1])))
    assert found == by_hand


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"sample_weight": [1, 2]}, r"sample_weight must be one number for each row.*\(37,\)"),
        ({"sample_weight": -np.ones(ROWS)}, "sample_weight must be finite and at least 0, got -1"),
        ({"sample_weight": np.zeros(ROWS)}, "sample_weight must not be 0 for every row"),
        ({"sample_weight": "balanced"}, "sample_weight must be"),
        ({"class_weight": "equal"}, 'class_weight must be a dict .* or "balanced", got'),
        ({"class_weight": {3: 1.0}}, "a class of class_weight must be at most 2, got 3"),
        ({"class_weight": {"cat": 1.0}}, "a class of class_weight must be an integer"),
        ({"class_weight": {0: -1}}, r"class_weight\[0\] must be at least 0 and finite, got -1"),
        ({"class_weight": {0: None}}, r"class_weight\[0\] must be a number"),
        ({"class_weight": [1, 2]}, r"one number for each class, \(3,\), got \(2,\)"),
        ({"class_weight": [0, 0, 0]}, "class_weight must not be 0 for every class"),
        ({"class_weight": 3}, "one number for each class"),
        ({"validation_split": 1}, "validation_split must be above 0 and below 1, got 1"),
        ({"validation_split": "a"}, "validation_split must be a number"),
        ({"validation_split": 0.5, "validation_data": (1, 2)}, "must be None where validation_dat"),
        ({"transform": 3}, "transform must be a function"),
        ({"transform": [len]}, r"transform must be a function.*got list; fastconv.data.compose"),
        ({"transform": lambda rng, x, y: x}, r"transform must return \(x, y\).*got ndarray"),
        ({"transform": lambda rng, x, y: (x, y[1:])}, "got 9 rows of y for 10"),
        ({"transform": lambda rng, x, y: ((x, x), y)}, "x of 2 parts, not 1"),
    ],
)
def test_settings_that_are_refused(settings, text, data):
    net = network()
    with pytest.raises((ArgumentError, ArgumentTypeError), match=text):
        net.fit(*data, batch_size=10, verbose=0, **settings)
    assert net.compiled.step == 0


def test_weights_of_classes_need_one_class_a_row(data):
    x = data[0]
    with pytest.raises(ArgumentError, match="must have rows of one class each, got a row of y"):
        network().fit(x, np.full((ROWS, 3), 0.5), class_weight={0: 2.0}, verbose=0)
    net = network(layers=[("Conv2D", {"filters": 3, "kernel_size": 1})])
    net = fastconv.Sequential([("Conv2D", {"filters": 3, "kernel_size": 1})], (2, 4, 4), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    with pytest.raises(ArgumentError, match=r"one output \(N, K\), got \(N, 3, 4, 4\);"):
        net.fit(x, np.zeros((ROWS, 4, 4), int), class_weight={0: 2.0}, verbose=0)
    with pytest.raises(ArgumentTypeError, match="must not be given to the loss"):

        class Own(Loss):
            name = "own"

            def value_and_gradient(self, outputs, targets):
                return 0.0, np.zeros_like(outputs)

        net = network(Own(), ())
        net.fit(x, data[1], sample_weight=np.ones(ROWS), verbose=0)


# Splits


def test_a_split_of_classes_is_stratified_and_keyed_by_the_seed(data):
    x, y = data
    train, test = fastconv.data.stratified_split(y, 0.3, seed=5)
    net, other = network(), network()
    net.fit(x, y, validation_split=0.3, seed=5, epochs=2, batch_size=8, verbose=0, shuffle=False)
    held_out = (x[test], y[test])
    settings = {"seed": 5, "epochs": 2, "batch_size": 8, "verbose": 0, "shuffle": False}
    other.fit(x[train], y[train], validation_data=held_out, **settings)
    assert net.history.history == other.history.history
    for given in ((ByNumber(x), ByNumbers(y)), (x, np.eye(3)[y])):
        found = trained(*given, validation_split=0.3, seed=5)[1]
        expected = trained(x, y, validation_split=0.3, seed=5)[1]
        for name in found:
            assert found[name] == pytest.approx(expected[name], rel=1e-5), name


def test_a_split_of_numbers_takes_the_last_rows(data):
    x, targets = data[0], data[0].reshape(ROWS, -1)[:, :3]
    weights = np.arange(ROWS) + 1.0
    nets = [network("mean_squared_error", ()) for _ in range(2)]
    settings = {"epochs": 2, "batch_size": 8, "verbose": 0}
    nets[0].fit(x, targets, validation_split=0.2, sample_weight=weights, **settings)
    first = ROWS - 7
    held_out = (x[first:], targets[first:], weights[first:])
    nets[1].fit(
        x[:first],
        targets[:first],
        sample_weight=weights[:first],
        validation_data=held_out,
        **settings,
    )
    assert nets[0].history.history == nets[1].history.history
    assert "val_loss" in nets[0].history.history
    with pytest.raises(ShapeError, match="x must have at least two rows to split, got 1"):
        nets[0].fit(x[:1], targets[:1], validation_split=0.5, verbose=0)
    with pytest.raises(ShapeError, match="at least two rows of one class to split, got 3"):
        network().fit(x[:3], [0, 1, 2], validation_split=0.5, verbose=0)
    with pytest.raises(ArgumentError, match="must not be 0 for every row held out"):
        nets[0].fit(
            x, targets, validation_split=0.2, sample_weight=np.arange(ROWS) < first, verbose=0
        )


# Transforms


def test_a_transform_gets_keyed_numbers_and_arrays_of_its_own(data):
    x, y = data
    before = x.copy()
    seen = []

    def scale(rng, a, b):
        seen.append((rng.random(), len(a)))
        a *= rng.uniform(0.5, 2)
        return a, b

    found = trained(x, y, transform=scale)
    assert len(seen) == 12 and len({number for number, _ in seen}) == 12
    assert [rows for _, rows in seen[:4]] == [10, 10, 10, 7]
    first, seen[:] = list(seen), []
    assert trained(x, y, transform=scale) == found and seen == first
    seen[:] = []
    trained(x, y, transform=scale, shuffle=False)
    assert seen == first
    np.testing.assert_array_equal(x, before)
    seen[:] = []
    assert trained(ByNumbers(x), y, transform=scale) == found and seen == first
    assert trained(x, y, transform=scale, seed=1) != found
    for other in ({"seed": 1}, {}):  # the order of rows has other numbers
        order = np.random.default_rng((other.get("seed", 0), 0)).random()
        assert order not in [number for number, _ in seen]


def test_two_fits_with_a_transform_are_one(data):
    move = fastconv.data.compose(fastconv.data.shift(1), fastconv.data.noise(0.1))
    nets = [network(), network()]
    nets[0].fit(*data, epochs=4, transform=move, verbose=0)
    for _ in range(2):
        nets[1].fit(*data, epochs=2, transform=move, verbose=0)
    for key, value in nets[0].weights().items():
        np.testing.assert_array_equal(value, nets[1].weights()[key])


def test_a_transform_of_several_inputs_and_outputs(data):
    a, b = fastconv.Input((3,)), fastconv.Input((3,))
    dense = fastconv.create_layer("Dense", units=3)
    net = fastconv.Model((a, b), (dense(fastconv.create_layer("Add")(a, b)), dense(a)), seed=0)
    net.compile("sgd", "mean_squared_error")
    x, kinds = data[0].reshape(ROWS, -1)[:, :3], []

    def swap(rng, xs, ys):
        kinds.append((type(xs), type(ys), [v.shape for v in (*xs, *ys)]))
        return (xs[1], xs[0]), ys

    net.fit((x, ByNumber(x)), (x, ByNumber(x)), transform=swap, epochs=1, batch_size=37, verbose=0)
    assert kinds == [(tuple, tuple, [(ROWS, 3)] * 4)]


def test_pixels_that_a_transform_scales_need_no_warning(data, recwarn):
    x, y = (data[0] * 50).astype(np.uint8), data[1]
    trained(x, y, transform=fastconv.data.normalise(128, 64))
    assert not [w for w in recwarn.list if issubclass(w.category, DataWarning)]
    with pytest.warns(DataWarning, match="integers up to 2.*Rescaling") as caught:
        trained(ByNumber(x), y)
    assert len(caught) == 1
    for given in ((x, y, {"transform": fastconv.data.flip()}), (Batches(x, y), None, {})):
        with pytest.warns(DataWarning, match="integers up to 2") as caught:
            trained(given[0], given[1], **given[2])
        assert len(caught) == 1 and caught[0].filename == __file__


# Errors, and the thread


def test_what_is_not_finite_names_the_row(data):
    x, y = data[0].copy(), data[1]
    x[23] = np.nan
    with pytest.raises(
        TrainingError, match="x must be finite, got nan in row 23 in epoch 1, batch 3"
    ):
        trained(ByNumbers(x), y, shuffle=False)
    with pytest.raises(TrainingError, match="got nan in row 3 in epoch 1, batch 3"):
        trained(Batches(x, y))


@pytest.mark.parametrize("when", ["read", "transform", "iterable"])
def test_an_error_of_a_batch_names_the_batch(when, data):
    x, y = data
    calls = []

    def transform(rng, a, b):
        calls.append(0)
        if len(calls) == 7:
            raise ZeroDivisionError("mine")
        return a, b

    class Broken(ByNumber):
        def __getitem__(self, row):
            if len(self.asked) == 2 + ROWS + 25:
                raise ZeroDivisionError("mine")
            return super().__getitem__(row)

    class Stops(Batches):
        def __iter__(self):
            for part in self.parts:
                calls.append(0)
                if len(calls) == 7:
                    raise ZeroDivisionError("mine")
                yield part

    given = {
        "read": lambda: {"x": Broken(x), "y": y, "batch_size": 10},
        "transform": lambda: {"x": x, "y": y, "batch_size": 10, "transform": transform},
        "iterable": lambda: {"x": Stops(x, y)},
    }[when]()
    net, before = network(), threading.active_count()
    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        net.fit(**given, epochs=3, verbose=0)
    assert caught.value.__notes__ == ["fit: this was batch 3 of epoch 2"]
    assert net.compiled.step == 6 and len(net.history.history["loss"]) == 1
    assert threading.active_count() == before


@pytest.fixture
def ctrl_c():
    """Shells make what runs in the background deaf to Ctrl-C; here it is heard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("kind", [ByNumber, "iterable"])
def test_ctrl_c_ends_the_thread_and_leaves_a_network(kind, data):
    x, y = data

    class Interrupt(Callback):
        def on_batch_end(self, run, batch, figures):
            if run.position.epoch == 1:
                signal.raise_signal(signal.SIGINT)

    net, before = network(), threading.active_count()
    given = {"x": Batches(x, y), "verbose": 0}
    if kind != "iterable":
        given = {"x": kind(x, wait=0.001), "y": y, "batch_size": 10, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        net.fit(**given, epochs=5, callbacks=Interrupt())
    assert threading.active_count() == before
    assert len(net.history.history["loss"]) == 1 and net.compiled.step == 5
    net.fit(**given, epochs=1)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_rows_are_read(data):
    x, y = data
    net, before = network(), threading.active_count()
    slow = ByNumber(x, wait=0.02)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    begun = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(slow, y, epochs=1000, batch_size=ROWS, verbose=0)
    timer.join()
    assert time.monotonic() - begun < 30
    assert threading.active_count() == before


# Limits


def test_a_limit_counts_the_batch_that_is_read_ahead(data):
    x, y = data
    net = network()
    with pytest.raises(MemoryLimitError) as caught:
        net.fit(x, y, batch_size=10, verbose=0, memory_limit=1)
    least = caught.value.least
    with pytest.raises(MemoryLimitError) as caught:
        net.fit(ByNumber(x), y, batch_size=10, verbose=0, memory_limit=1)
    assert caught.value.least == least  # a batch is gathered either way
    names = set()

    class Seen(ByNumber):
        def __getitem__(self, row):
            names.add(threading.current_thread().name)
            return super().__getitem__(row)

    batch = 10 * 2 * 4 * 4 * 4
    expected = trained(x, y, limit=least)
    for extra, ahead in ((0, False), (batch - 1, False), (batch, True)):
        names.clear()
        found = trained(Seen(x), y, limit=least + extra)
        assert ("fastconv-ahead" in names) == ahead
        if not extra:
            assert found == expected


def test_a_limit_holds_for_batches_of_an_iterable(data):
    x, y = data
    with pytest.raises(MemoryLimitError, match="a batch of 10"):
        trained(Batches(x, y), limit=1)
    found = trained(Batches(x, y), limit="10 MB")
    free = trained(x, y, shuffle=False)
    assert found[1]["loss"] == pytest.approx(free[1]["loss"], rel=1e-5)
