"""
Odd kernels against even ones
=============================

**The claim.** Kernels should have an odd size, for an even one has no pixel in its middle: the
centre of a 6x6 kernel lies at (3.5, 3.5), between pixels. A quiz for beginners advises so, and
says that it was never tried.

**The question.** Do networks with even kernels get fewer digits right? If so, is that seen more
where each layer adds its input to its output, so that the two should lie on each other?
"""

import matplotlib.pyplot as plt
import numpy as np
from experiment import COLOURS, compared, digits, dots, new, table

import fastconv

SEEDS = range(5)
SIZES = (3, 4, 5, 6, 7)
EPOCHS = 4
LAYERS = 2

# %%
# Where a pixel goes
# ------------------
# With padding "same", an even kernel has one row and one column more of padding at the end than at
# the beginning. What two layers of ones make of a single bright pixel has its centre there:

point = np.zeros((1, 1, 31, 31), np.float32)
point[0, 0, 15, 15] = 1
for size in SIZES:
    spot = point
    for _ in range(LAYERS):
        spot = fastconv.conv2d(spot, np.ones((1, 1, size, size), np.float32), padding="same")
    centre = (spot[0, 0].sum(1) @ np.arange(31)) / spot.sum()
    print(f"{size}x{size}: moved by {centre - 15:+.2f} pixels")

# %%
# What is learned
# ---------------
# Two layers with kernels of one size. Larger kernels have more parameters, so an even size is
# held against the mean of its two odd neighbours, not against one of them.


def network(size, shortcuts, seed):
    """Return two convolutions, each of which may add its input to its output."""

    def layer(name, **settings):
        return fastconv.create_layer(name, **settings)

    x = fastconv.Input((1, 8, 8))
    h = layer("Conv2D", filters=8, kernel_size=1)(x)
    for _ in range(LAYERS):
        y = layer("Conv2D", filters=8, kernel_size=size, padding="same", activation="relu")(h)
        h = layer("Add")(h, y) if shortcuts else y
    h = layer("Flatten")(layer("MaxPool2D", pool_size=2)(h))
    return fastconv.Model(x, layer("Dense", units=10)(h), seed=seed)


def accuracy(size, shortcuts, seed):
    """Return the percentage of the test's digits that it gets right."""
    (x, y), test = digits(seed)
    net = network(size, shortcuts, seed)
    net.compile(("adam", {"learning_rate": 0.003}), "softmax_cross_entropy", "accuracy")
    net.fit(x, y, batch_size=50, epochs=EPOCHS, seed=seed, verbose=0)
    return 100 * net.evaluate(*test)["accuracy"]


KINDS = {"plain": False, "with shortcuts": True}
accuracies = {
    kind: {size: [accuracy(size, shortcuts, seed) for seed in SEEDS] for size in SIZES}
    for kind, shortcuts in KINDS.items()
}
print(table({f"{kind}, %": rows for kind, rows in accuracies.items()}))

# %%
# What came out
# -------------

panels = new(2, sharey=True)
for axes, (kind, rows) in zip(panels, accuracies.items(), strict=True):
    colours = [COLOURS[0] if size % 2 else COLOURS[1] for size in SIZES]
    dots(axes, {f"{size}x{size}": found for size, found in rows.items()}, colours)
    axes.set(title=kind, xlabel="kernel: odd in blue, even in orange")
panels[0].set_ylabel("accuracy on the test, %")

for kind, rows in accuracies.items():
    for size in (4, 6):
        neighbours = np.mean([rows[size - 1], rows[size + 1]], axis=0)
        held = {f"{size}x{size}": rows[size], "the mean of its neighbours": neighbours}
        print(f"{kind}:", compared(*held, held))
plt.show()

# %%
# An even kernel holds an odd one that is a pixel smaller, and a layer may learn zeros for the rest:
# so it can always make up for the half pixel where a map has room for it. Whether training finds
# that is what the sentences say. Where seeds disagree, this experiment does not support the
# advice, and does not refute it.
