"""
Initial weights compared
========================

**The claim.** How a network begins decides whether it learns. Gaussian weights of a small standard
deviation let the signal fade from layer to layer; large ones drive tanh and sigmoid to their
ends. Xavier's fit functions of that shape, He's fit ReLU.

**The question.** What reaches the fifth layer, and what is learned from there?
"""

import matplotlib.pyplot as plt
import numpy as np
from experiment import digits, dots, lines, new, over_all, table

import fastconv

SEEDS = range(5)
DEPTH = 5
EPOCHS = 4
INITIALIZERS = {
    "std 0.01": ("gaussian", {"std": 0.01}),
    "std 1": ("gaussian", {"std": 1.0}),
    "xavier": "xavier",
    "he": "he",
}

# %%
# Five convolutions
# -----------------


def network(activation, initializer, seed):
    """Return five convolutions with an activation each, and a dense layer; the first is pooled."""
    layers = []
    for at in range(1, DEPTH + 1):
        settings = {"filters": 8, "kernel_size": 3, "padding": "same", "initializer": initializer}
        layers += [("Conv2D", settings), (activation, {"name": f"after{at}"})]
        if at == 1:
            layers.append(("MaxPool2D", {"pool_size": 2}))
    layers += ["Flatten", ("Dense", {"units": 10, "initializer": initializer})]
    return fastconv.Sequential(layers, input_shape=(1, 8, 8), seed=seed)


def experiment(activation, initializer, seed):
    """Return the spread of each layer's outputs before training, the losses, the accuracy."""
    (x, y), test = digits(seed)
    net = network(activation, initializer, seed)
    spread = [float(net.intermediate(x[:200], f"after{at}").std(0).mean())
              for at in range(1, DEPTH + 1)]  # fmt: skip
    net.compile(("adam", {"learning_rate": 0.003}), "softmax_cross_entropy", "accuracy")
    net.fit(x, y, batch_size=64, epochs=EPOCHS, seed=seed, verbose=0, stop_on_nan=False)
    return spread, net.history.history["loss"], 100 * net.evaluate(*test)["accuracy"]


found = {
    activation: {
        name: [experiment(activation, initializer, seed) for seed in SEEDS]
        for name, initializer in INITIALIZERS.items()
    }
    for activation in ("ReLU", "Tanh", "Sigmoid")
}
accuracies = {
    activation: {name: [run[2] for run in runs] for name, runs in rows.items()}
    for activation, rows in found.items()
}
print(table({f"{activation}: accuracy, %": rows for activation, rows in accuracies.items()}))
fifth = {
    f"{activation}: spread at layer {DEPTH}": {
        name: f"{np.mean([run[0][-1] for run in runs]):.2g}" for name, runs in rows.items()
    }
    for activation, rows in found.items()
}
print("\n" + table(fifth))

# %%
# What came out
# -------------
# The spread is that of one output over 200 images: where it is 0, all images look the same to the
# layers behind.

for activation, rows in found.items():
    left, middle, right = new(3, width=4.2)
    lines(
        left, range(1, DEPTH + 1), {name: [run[0] for run in runs] for name, runs in rows.items()}
    )
    left.set(
        xlabel="layer", ylabel="spread of outputs before training", yscale="log", title=activation
    )
    lines(middle, range(1, EPOCHS + 1), {n: [run[1] for run in runs] for n, runs in rows.items()})
    middle.set(xlabel="epoch", ylabel="mean loss of the epoch", yscale="log", title=activation)
    dots(right, accuracies[activation])
    right.set(ylabel="accuracy on the test, %", title=activation)
    print(f"{activation}:", over_all(accuracies[activation]))
plt.show()

# %%
# The optimizer is Adam, whose steps do not shrink with the gradient: with plain gradient descent
# the same beginnings may end otherwise. Change ``compile`` above to try it.
