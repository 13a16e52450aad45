"""Curves of a history have its figures, and a history draws itself."""

from __future__ import annotations

import pickle

import pytest

import fastconv
from fastconv import plot
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.training import History

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure  # noqa: E402

FIGURES = {
    "loss": [1.0, 0.5, float("nan")],
    "accuracy": [0.5, 0.7, 0.8],
    "val_loss": [1.1, 0.9, 1.3],
    "val_accuracy": [0.4, 0.6, 0.6],
}


def lines(axes) -> list[list[float]]:
    return [line.get_ydata().tolist() for line in axes.lines]


def test_each_figure_has_axes_and_validation_is_beside():
    figure = History(dict(FIGURES), [0.1, 0.1, 0.01]).plot()
    loss, accuracy = figure.axes
    assert [loss.get_ylabel(), accuracy.get_ylabel()] == ["loss", "accuracy"]
    assert loss.get_xlabel() == accuracy.get_xlabel() == "epoch"
    assert lines(loss)[1] == FIGURES["val_loss"] and lines(loss)[0][:2] == [1.0, 0.5]
    assert lines(accuracy) == [FIGURES["accuracy"], FIGURES["val_accuracy"]]
    assert accuracy.lines[0].get_xdata().tolist() == [1, 2, 3]  # epochs count from 1
    styles = [line.get_linestyle() for line in accuracy.lines]
    assert styles == ["-", "--"]  # which grey tells too
    texts = [text.get_text() for text in accuracy.get_legend().get_texts()]
    assert texts == ["training", "validation"]


def test_a_fit_is_drawn_as_it_was():
    net = fastconv.create_model("DigitsNet", seed=0)
    net.compile("adam", "softmax_cross_entropy", ["accuracy"])
    x, y = fastconv.data.digits()
    history = net.fit(x[:200], y[:200], epochs=2, verbose=0, validation_split=0.2)
    for figure in (history.plot(), plot.history(history)):
        for axes in figure.axes:
            name = axes.get_ylabel()
            assert lines(axes) == [history.history[name], history.history[f"val_{name}"]]


def test_one_figure_goes_where_it_is_told():
    mine = Figure()
    upper, lower = mine.subplots(2)
    history = History(dict(FIGURES), [0.1, 0.1, 0.01])
    assert history.plot("accuracy", ax=lower) is mine
    assert not upper.lines and lower.get_ylabel() == "accuracy"
    history.plot("learning_rate", ax=upper)
    assert lines(upper) == [[0.1, 0.1, 0.01]] and upper.get_ylabel() == "learning rate"
    with pytest.raises(ArgumentError, match="figures must be one where ax is given"):
        history.plot(["loss", "accuracy"], ax=upper)


def test_names_that_matplotlib_would_read_otherwise_are_shown_as_they_are():
    history = History({"_hidden$a$": [1.0], "val__hidden$a$": [2.0]}, [0.1])
    (axes,) = history.plot().axes
    axes.figure.draw_without_rendering()
    text, is_formula = axes.yaxis.label._preprocess_math(axes.get_ylabel())
    assert text.strip() == "hidden$a$" and not is_formula
    assert len(axes.get_legend().get_texts()) == 2


def test_nothing_to_draw_is_told():
    with pytest.raises(ArgumentError, match="history must have at least one epoch"):
        History().plot()
    with pytest.raises(ArgumentError, match="did you mean 'accuracy'"):
        History(dict(FIGURES), [0.1] * 3).plot("accurracy")
    with pytest.raises(ArgumentTypeError, match="ax must be an Axes of matplotlib"):
        History(dict(FIGURES), [0.1] * 3).plot("loss", ax=3)
    with pytest.raises(ArgumentTypeError, match="history must be what fit returned"):
        plot.history(FIGURES)


def test_a_picture_shows_itself_in_a_notebook_and_can_be_pickled():
    figure = History(dict(FIGURES), [0.1] * 3).plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    twin = pickle.loads(pickle.dumps(figure))
    assert type(twin) is type(figure) and len(twin.axes) == 2


def test_no_picture_goes_through_pyplot(environment, tmp_path):
    """Which would keep every figure, and choose a window system."""
    import subprocess
    import sys

    code = (
        "import sys; from fastconv.training import History; "
        "History({'loss': [1.0, 0.5]}, [0.1, 0.1]).plot().savefig('picture.png'); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)


@pytest.mark.parametrize("projection", ["polar", "mollweide", None])
def test_axes_that_are_not_plain_or_were_taken_away_are_refused(projection):
    axes = Figure().add_subplot(projection=projection)
    if projection is None:
        axes.remove()
    with pytest.raises(ArgumentTypeError, match="ax must be plain axes of a figure, got "):
        History({"loss": [1.0]}, [0.1]).plot(ax=axes)
