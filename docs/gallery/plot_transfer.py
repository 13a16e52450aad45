"""
Transfer: from the digits 0 to 4 to the digits 5 to 9
=====================================================

**The claim.** What a network has learned helps it with another task: with few examples of the
new one it gets more right than a network that begins anew.

**The question.** How much does it help, and how does that depend on the number of examples? Is it
what was learned that helps, or would filters do as well that nobody trained?
"""

import matplotlib.pyplot as plt
import numpy as np
from experiment import compared, digits, lines, new, table

import fastconv

SEEDS = range(5)
ROWS = (10, 25, 50, 100, 250)
STEPS = 120

# %%
# The first task
# --------------
# Both tasks have five classes, and both networks the same layers.


def network(seed):
    conv = ("Conv2D", {"filters": 16, "kernel_size": 3, "padding": "same", "activation": "relu"})
    pool = ("MaxPool2D", {"pool_size": 2})
    net = fastconv.Sequential(
        [conv, pool, conv, pool, "Flatten", ("Dense", {"units": 5, "name": "classes"})],
        input_shape=(1, 8, 8), seed=seed)  # fmt: skip
    net.compile(("adam", {"learning_rate": 0.003}), "softmax_cross_entropy", "accuracy")
    return net


def task(rows, first):
    """Return the digits from `first` to `first` + 4, as classes 0 to 4."""
    x, y = rows
    chosen = (first <= y) & (y < first + 5)
    return x[chosen], y[chosen] - first


# %%
# The second task
# ---------------
# The learned filters go over, or none. They may learn on, or stay as they are; the last layer
# always begins anew. However few the rows, each network takes as many steps.

WAYS = {
    "anew": {"transfer": False, "freeze": False},
    "anew, filters kept": {"transfer": False, "freeze": True},
    "transferred": {"transfer": True, "freeze": False},
    "transferred, filters kept": {"transfer": True, "freeze": True},
}


def accuracy(source, seed, count, transfer, freeze):
    """Return the percentage of the test's digits 5 to 9 that are right after `count` examples."""
    train, test = digits(seed)
    x, y = task(train, 5)
    few, _ = fastconv.data.stratified_split(y, 1 - count / len(y), seed=seed)
    net = network(seed + 100)
    if transfer:
        net.set_weights({key: w for key, w in source.weights().items() if "classes" not in key})
    if freeze:
        net.freeze("conv2d_*")
    batch = min(count, 25)
    epochs = STEPS * batch // len(few)
    net.fit(x[few], y[few], batch_size=batch, epochs=epochs, seed=seed, verbose=0)
    return 100 * net.evaluate(*task(test, 5))["accuracy"]


found = {name: np.zeros((len(SEEDS), len(ROWS))) for name in WAYS}
for seed in SEEDS:
    train, test = digits(seed)
    source = network(seed)
    source.fit(*task(train, 0), batch_size=50, epochs=15, seed=seed, verbose=0)
    print(f"seed {seed}: {source.evaluate(*task(test, 0))['accuracy']:.1%} of the digits 0 to 4")
    for name, way in WAYS.items():
        found[name][seed] = [accuracy(source, seed, count, **way) for count in ROWS]

columns = {
    str(count): {name: rows[:, at] for name, rows in found.items()} for at, count in enumerate(ROWS)
}
print("\naccuracy on the digits 5 to 9 in %, by the number of examples\n" + table(columns))

# %%
# What came out
# -------------

(axes,) = new(width=7, height=4.5)
lines(axes, ROWS, found)
axes.set(xscale="log", xlabel="examples of the digits 5 to 9", ylabel="accuracy on the test, %")
axes.set_xticks(ROWS, [str(count) for count in ROWS])
axes.minorticks_off()

for count in columns:
    print(f"{count} examples:", compared("transferred", "anew", columns[count]))
print("10 examples:", compared("transferred, filters kept", "anew, filters kept", columns["10"]))
print("250 examples:", compared("transferred", "transferred, filters kept", columns["250"]))
plt.show()

# %%
# "Anew, filters kept" trains the last layer alone, behind filters that are random numbers: what is
# above it is due to filters that learned. What "transferred" has before "anew", or behind it, is
# due to the digits that were learned from first. Five digits of 8x8 are a small school; a network
# that has seen a million photographs has more to take along.
