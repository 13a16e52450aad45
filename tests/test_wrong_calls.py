"""Wrong calls of everything public are errors of ours, with all their parts; none is raw."""

from __future__ import annotations

import fnmatch
import inspect
import io
import re

import numpy as np
import pytest
import right_calls
from right_calls import Given, ones, public

import fastconv
from fastconv import registry
from fastconv.errors import NOTHING, ConfigError, FastconvError, Problem, shorten

BOOK = "compat.deep_learning_from_scratch"
#: What takes something, and yet has no wrong calls of its own.
ELSEWHERE = {
    "InferenceModel": "for_inference() makes it",
    "PackedWeight*": "prepare_conv2d makes it",
    f"{BOOK}.identity_function": "anything is right",
    f"{BOOK}.[A-Z]*.forward": "with what makes the layer",
    f"{BOOK}.[A-Z]*.backward": "likewise",
    f"{BOOK}.SoftmaxWithLoss*": "as cross_entropy_error",
    f"{BOOK}.*Net*.*": "as of SimpleConvNet",
    f"{BOOK}.*.update": "with what makes the optimizer",
    f"{BOOK}.Convolution.gradients": "backward calls it",
    f"{BOOK}.Trainer.*": "with what makes the Trainer",
    "explain.Explanation": "the functions of explain make it",
    "plot.EXAMPLE_FILTERS": "a constant",
    "models.*": "models make them: nodes, plans",
    "layers.*Costs": "layers make them, of what they know",
    "layers.Context*": "models make it, and call layers with it",
    "layers.Parameter.*": "layers and models call it, with what assign has checked",
    "Layer.build": "written by whoever writes a layer, called by ensure_built",
    "Layer.forward": "likewise, called by models",
    "Layer.backward": "likewise",
    "Layer.costs": "likewise",
    "Layer.least_rows": "likewise",
    "Layer.idle": "likewise",
    "Layer.with_activation": "likewise",
    "Layer.with_addition": "likewise",
    "Layer.folded": "likewise",
    "Layer.moments": "likewise, with what forward is given",
    "Layer.merged": "likewise, with what moments gave",
    "Layer.gradient_sums": "likewise, with what backward is given",
    "Layer.outline": "models ask for it, with the Specs of inputs",
    "layers.Affine": "layers make it, of what they know",
    "Layer.check_inputs": "nodes ask it, with the Specs of what a layer is called on",
    "Spec.whole_shape": "models ask it, with a number of rows",
    "*.predict_batch": "training asks a model for it, with what cast_inputs gave",
    "*.program": "likewise",
    "Model.forward_backward": "likewise",
    "Model.first_not_finite": "likewise",
    "Model.learned_in_order": "likewise",
    "Model.least_rows_of_piece": "likewise",
    "Model.every_parameter": "likewise",
    "Model.run_pieces": "likewise, with pieces that it made",
    "Model.structure": "likewise",
    "Model.take_statistics": "likewise, with what run_pieces gave",
    "Model.versions": "likewise",
    "Model.read_checkpoint": "likewise, with the path that fit was given",
    "Model.take_over": "likewise, with what read_checkpoint returned",
    "training.*.count_bytes": "plans ask for it, with the shapes of outputs",
    "training.Answer": "models make it",
    "training.Run": "fit makes it",
    "training.History": "fit makes it",
    "training.Compiled*": "compile makes it",
    "training.*.on_*": "fit calls it",
    "training.*.apply": "update calls it, with what it has checked",
    "training.*.check": "compile calls it, with dtypes of parameters",
    "training.Optimizer.start": "compile calls it",
    "training.Optimizer.take": "likewise",
    "training.Optimizer.belong": "steps call it",
    "training.Optimizer.state": "save calls it, for arrays that are no copies",
    "training.Schedule*": "abstract: its subclasses are tried",
    "training.*.share": "a schedule calls it, with what it has checked",
    "training.Optimizer": "abstract: its subclasses are tried",
    "training.*Mean*.check_outputs": "outputs of any shape are right",
    "training.Huber.check_outputs": "likewise",
    "training.*BinaryCrossEntropy.check_outputs": "likewise",
    "training.SigmoidCrossEntropy.check_outputs": "likewise",
    "training.CountingMetric*": "abstract: its subclasses are tried",
    "training.*.for_loss": "compile calls it, with a loss",
    "training.*.counts": "calls of the metric, and training, call it with what they have checked",
    "training.*.added": "likewise, with counts",
    "training.*.figure": "likewise",
    "training.*.part_of_mean": "steps call it, with rows of what they have checked",
    "training.Loss*": "abstract: its subclasses are tried",
    "training.Trainable*": "a protocol",
    "sklearn.*.*fit": "scikit-learn's own checks tell what X and y must be",
    "sklearn.*.predict*": "likewise",
    "sklearn.*.score": "likewise",
    "registry.Registry": "the registries are made",
    "registry.Registry.announce": "told of the names of fastconv's own modules",
    "registry.Registry.live_in": "told of the module in which fastconv registers its own names",
    "registry.Registry.name_of": "asked of anything; what is not registered has no name",
    "registry.check_config": "its answer is a list of problems, whatever is given",
    "registry.setting_problems": "likewise",
    "registry.parameters_of": "asked of what is registered",
    "registry.own_settings": "likewise",
    "registry.spec_of": "likewise",
}


class Hostile:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array")

    def __repr__(self):
        raise RuntimeError("no text")

    def __eq__(self, other):
        raise RuntimeError("not comparable")

    __hash__ = None  # type: ignore[assignment]


def wrong() -> list:
    """What hardly any argument may be; anew each time, for some can be used up."""
    return [
        None,
        True,
        -1,
        1.5,
        10**40,
        float("nan"),
        "no such",
        "",
        "\ud800",
        b"x",
        3j,
        [],
        {},
        {1: 2},
        {"a": None},
        [[1, 2], [3]],
        (1, 2, 3, 4, 5),
        [None],
        set(),
        range(3),
        (i for i in range(3)),
        object(),
        Hostile(),
        int,
        lambda *args: None,
        io.BytesIO(b"x"),
        np.zeros((2, 1, 8, 8), complex),
        np.ma.zeros((2, 1, 8, 8)),
        np.zeros((2, 3), object),
        np.zeros((2, 1, 8, 8), bool),
        np.zeros((2, 1, 8, 8), "f2"),
        np.array("a"),
        np.float32(2),
        np.zeros((2, 3), "M8[s]"),
        ones(),
        ones(3),
        ones(0, 1, 8, 8),
        ones(1, 1, 1, 1, 1),
        np.full((2, 3), np.nan, np.float32),
        np.ones((2, 1, 8, 8)),
    ]


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with registry.isolated():
        yield Given()


def nothing_to_give(thing: object) -> bool:
    """Whether a function takes nothing, or a class only what every layer takes, a name."""
    try:
        parameters = inspect.signature(thing).parameters
    except (TypeError, ValueError):
        return False
    return not set(parameters) - {"self"}


def elsewhere(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in ELSEWHERE)


NAMES = dict(public())
TRIED = [
    name for name, thing in NAMES.items() if not elsewhere(name) and not nothing_to_give(thing)
]
#: Layers without settings take a name, as all do.
TRIED += [
    n
    for n in NAMES
    if n.startswith("layers.") and n not in TRIED and not elsewhere(n) and nothing_to_give(NAMES[n])
]


def lacking(name: str, error: FastconvError) -> list[str]:
    """Return what an error of the function `name` does not tell."""
    parts = ["operation", "parameter", "rule"]
    if isinstance(error, ConfigError):
        if all(isinstance(problem, Problem) for problem in error.problems):
            if len(error.problems) > 1:
                return [] if all(p.operation and p.rule for p in error.problems) else ["problems"]
        if error.operation:
            parts.remove("parameter")  # the path names it
    if name.startswith("registry.Registry."):
        parts.remove("operation")  # whoever looks for a name adds its own
    found = [part for part in parts if not getattr(error, part)]
    about_itself = error.rule.startswith("is ")  # the parameter is what is wrong: unknown, missing
    if error.value is NOTHING and error.shown is None and not about_itself:
        found.append("value")
    if error.value is not NOTHING:
        shown = shorten(error.value) if error.shown is None else error.shown
        found += ["value shown"] if shown not in str(error) else []
    return found + ["a short text"] * (len(str(error)) > 2000)


def test_every_public_name_is_tried_or_has_a_reason(given):
    calls = right_calls.right_calls(given)
    assert sorted(set(TRIED) - set(calls)) == [], "add a right call of it to right_calls.py"
    assert sorted(set(calls) - set(NAMES)) == []
    unused = [p for p in ELSEWHERE if not any(fnmatch.fnmatchcase(n, p) for n in NAMES)]
    assert unused == []


@pytest.mark.parametrize("name", TRIED)
def test_wrong_calls_are_told(name, given, capsys):
    """At least three are; what is not wrong after all may work, but no error is raw."""
    call, right = right_calls.right_calls(given)[name]
    with np.errstate(all="raise"):
        try:
            call(**right)
        except (FastconvError, OSError):  # of files that are not there
            assert name.startswith("data.") or name.endswith(".load_mnist")
        told, problems = 0, []
        for parameter in right:
            for value in wrong():
                if len(problems) > 9:
                    break
                shown = shorten(value)
                try:
                    call(**{**right, parameter: value})
                except FastconvError as error:
                    told += 1
                    if lacks := lacking(name, error):
                        problems.append(f"{parameter}={shown} lacks {lacks}: {error}")
                except OSError:
                    continue
                except AssertionError as error:
                    if not name.startswith("testing."):
                        problems.append(f"{parameter}={shown}: {error!r}")
                except Exception as error:
                    problems.append(f"{parameter}={shown}: {error!r}")
    assert not problems, "\n".join(problems)
    assert told >= 3, f"only {told} wrong calls are told"


def conv(x=None, weight=None, **options):
    x = ones(2, 1, 8, 8) if x is None else x
    return fastconv.conv2d(x, ones(2, 1, 3, 3) if weight is None else weight, **options)


def sequential(*specs, shape=(1, 8, 8)):
    return fastconv.Sequential(list(specs), shape, seed=0)


REMEDIES = [
    (lambda g: conv(ones(2, 1, 8, 8).astype("f2")), r"x.astype\(np.float32\)"),
    (lambda g: conv(ones(2, 1, 8, 8).astype(complex)), r"x.astype\(np.float32\)"),
    (lambda g: conv(np.ma.zeros((2, 1, 8, 8))), r"\.filled\(value\)"),
    (lambda g: conv(np.ones((2, 1, 8, 8))), r"np.asarray\(weight, np.float64\)"),
    (lambda g: conv(np.full((2, 1, 8, 8), 2**24 + 1)), r"x.astype\(np.float32\)"),
    (lambda g: conv(ones(5, 8, 8)), r"reshape\(5, 1, 8, 8\)"),
    (lambda g: conv(ones(5, 8, 8, 1)), r"x.transpose\(0, 3, 1, 2\)"),
    (lambda g: conv(padding="sane"), "did you mean 'same'"),
    (lambda g: conv(algorithm="im2cool"), "did you mean 'im2col'"),
    (lambda g: conv(activation="rellu"), "did you mean 'relu'"),
    (lambda g: conv(ones(2, 1, 2, 2)), "smaller kernel"),
    (lambda g: conv(algorithm="winograd", stride=2), "use 'auto'"),
    (lambda g: conv(algorithm="winograd", precision="strict"), "precision 'standard'"),
    (lambda g: conv(algorithm="im2col", workspace_limit=1), "or use 'direct'"),
    (lambda g: conv(out=np.zeros((2, 2, 6, 6))), r"np.empty\(\(2, 2, 6, 6\), np.float32\)"),
    (lambda g: fastconv.max_pool2d(ones(1, 1, 4, 4), 2, padding=((0, 0), (0, 4))), "less padding"),
    (
        lambda g: fastconv.max_pool2d_backward(ones(1, 1, 1, 1), np.array([[[[9]]]]), (1, 1, 2, 2)),
        "max_pool2d returned",
    ),
    (lambda g: fastconv.create_layer("nn.Conv2d"), "did you mean 'Conv2D'"),
    (lambda g: fastconv.create_layer("Conv2D", filters=1, kernel_size=3, strides=2), "'stride'"),
    (lambda g: fastconv.layers.Conv2D(1, 3, out_channels=2), "'filters'"),
    (lambda g: fastconv.layers.Conv2D(1, 3, 1), r"stride=\.\.\."),
    (lambda g: fastconv.create_model("acme.Nett"), "did you mean 'acme.Net'"),
    (lambda g: sequential("Conv2d"), "'Conv2D'"),
    (lambda g: sequential(("Dense", {"units": 3})), "Flatten"),
    (lambda g: g.net(ones(2, 8, 8)), r"x\[:, None\]"),
    (lambda g: g.net(ones(1, 8, 8)), r"x\[None\]"),
    (lambda g: g.net(ones(2, 8, 8, 1)), r"x.transpose\(0, 3, 1, 2\)"),
    (lambda g: g.net["conv2d1"], "conv2d_1"),
    (lambda g: g.net.set_weights({"dense_1/biass": ones(3)}), "dense_1/bias"),
    (lambda g: g.net.freeze("conf*"), "conv2d_1"),
    (lambda g: g.net.intermediate(ones(1, 1, 8, 8), "dense_2"), "dense_1"),
    (lambda g: g.net.compile(loss=None), "softmax_cross_entropy"),
    (lambda g: g.net.fit(g.x, g.labels, epochs=1, memory_limit=10), "batch_size"),
    (lambda g: g.net.fit(g.x, np.array(["a", "b"])), r"np.unique\(y, return_inverse=True\)"),
    (lambda g: fastconv.plot.filters_text(ones(1, 1, 3, 3)), "filters"),
    (lambda g: fastconv.plot.plan_png(g.net.plan(1), "plan.svg"), "plan.png"),
    (lambda g: fastconv.plot.plan_png("plan", "plan.png"), "net.plan"),
    (lambda g: fastconv.plot.plan_page(g.net.plan(1)), "fastconv.load"),
    (lambda g: fastconv.plot.plan_page(g.frozen, training=True), "made from"),
    (lambda g: fastconv.data.stratified_split(np.eye(3)), r"y.argmax\(1\)"),
    (lambda g: fastconv.testing.check_layer("ReLU", (0, 3)), "empty batch"),
    (lambda g: fastconv.testing.check_layer(right_calls.Own, (2, 3)), r"Own\(\.\.\.\)"),
]


@pytest.mark.parametrize(("call", "remedy"), REMEDIES, ids=[str(i) for i in range(len(REMEDIES))])
def test_where_there_is_a_remedy_it_is_told(call, remedy, given):
    with pytest.raises(FastconvError, match=remedy) as caught:
        call(given)
    assert re.search(remedy, caught.value.remedy), caught.value.remedy
    assert not lacking("", caught.value)
