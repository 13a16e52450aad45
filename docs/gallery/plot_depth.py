"""
More layers
===========

**The claim.** Deeper networks see more: the first layers find edges, later ones find what edges
make up. But what is very deep is hard to train, unless each layer adds to what it was given.

**The question.** How many layers pay on digits of 8x8, with and without shortcuts, and what does a
layer cost in time?
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from experiment import compared, digits, lines, new, over_all, table

import fastconv

SEEDS = range(5)
DEPTHS = (1, 3, 8)
EPOCHS = 3

# %%
# Networks of every depth
# -----------------------
# All layers have eight filters of 3x3. With shortcuts, each of them adds its output to its input,
# so that numbers grow from layer to layer; BatchNorm gives the outputs one size.


def layer(name, **settings):
    return fastconv.create_layer(name, **settings)


def network(depth, shortcuts, norm, seed):
    x = fastconv.Input((1, 8, 8))
    h = layer("Conv2D", filters=8, kernel_size=1)(x)
    for _ in range(depth):
        y = layer("Conv2D", filters=8, kernel_size=3, padding="same")(h)
        y = layer("ReLU")(layer("BatchNorm")(y) if norm else y)
        h = layer("Add")(h, y) if shortcuts else y
    h = layer("Flatten")(layer("MaxPool2D", pool_size=2)(h))
    return fastconv.Model(x, layer("Dense", units=10)(h), seed=seed)


def learned(depth, kind, seed):
    """Return the percentages right of what was learned from and of the test, and the seconds."""
    train, test = digits(seed)
    net = network(depth, *KINDS[kind], seed)
    net.compile(("adam", {"learning_rate": 0.003}), "softmax_cross_entropy", "accuracy")
    start = time.process_time()
    net.fit(*train, batch_size=64, epochs=EPOCHS, seed=seed, verbose=0)
    seconds = time.process_time() - start
    return [100 * net.evaluate(*rows)["accuracy"] for rows in (train, test)] + [seconds]


KINDS = {
    "plain": (False, False),
    "shortcuts": (True, False),
    "BatchNorm": (False, True),
    "shortcuts and BatchNorm": (True, True),
}
found = {
    kind: np.array([[learned(depth, kind, seed) for depth in DEPTHS] for seed in SEEDS])
    for kind in KINDS
}  # (seeds, depths, 3)
tables = {
    kind: {str(depth): rows[:, at, 1] for at, depth in enumerate(DEPTHS)}
    for kind, rows in found.items()
}
for kind, rows in found.items():
    learned_from, test, seconds = (
        {str(depth): rows[:, at, column] for at, depth in enumerate(DEPTHS)} for column in range(3)
    )
    counts = {str(depth): network(depth, *KINDS[kind], 0).count_params() for depth in DEPTHS}
    columns = {"parameters": counts, "learned from, %": learned_from, "test, %": test, "s": seconds}
    print(f"{kind}, by the number of layers\n{table(columns)}\n")

# %%
# What came out
# -------------

left, right = new(2, width=5.5)
lines(left, DEPTHS, {kind: rows[:, :, 1] for kind, rows in found.items()})
left.set(xticks=DEPTHS, xlabel="layers of 3x3", ylabel="accuracy on the test, %")
lines(right, DEPTHS, {kind: rows[:, :, 2] for kind, rows in found.items()})
right.set(
    xticks=DEPTHS, xlabel="layers of 3x3", ylabel=f"s of the processor for {EPOCHS} epochs", ylim=0
)

for kind, rows in tables.items():
    print(f"{kind}:", over_all(rows))
    print(f"{kind}:", compared("8", "1", rows))
deepest = {kind: tables[kind]["8"] for kind in KINDS}
for kind in list(KINDS)[1:]:
    print("8 layers:", compared(kind, "plain", deepest))
plt.show()

# %%
# All networks learn for the same number of epochs. A map of 8x8 is small: a pixel of the fourth
# layer has seen all but the borders of it. So this is the question for digits alone, and the place
# where more layers stop to pay says nothing about photographs.
