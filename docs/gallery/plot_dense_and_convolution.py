"""
Dense layers against convolutions, with as many parameters
==========================================================

**The claim.** A dense layer loses the shape of an image; a convolution keeps it, and so needs
fewer parameters.

**The question.** With equally many parameters, which gets more digits right? And what if the pixels
of all images are shuffled in one same way, so that there is no shape to keep?
"""

import matplotlib.pyplot as plt
import numpy as np
from experiment import compared, digits, dots, lines, new, table

import fastconv

SEEDS = range(5)
FILTERS = (4, 8, 16)
EPOCHS = 15

# %%
# Networks of one size
# --------------------
# The convolutional network has two convolutions. The other has one hidden layer, with as many units
# as make its parameters the same number, or nearly.


def convolutional(filters, seed):
    conv = ("Conv2D", {"filters": filters, "kernel_size": 3, "padding": "same"})
    pool = ("MaxPool2D", {"pool_size": 2})
    layers = [conv, "ReLU", pool, conv, "ReLU", pool, "Flatten", ("Dense", {"units": 10})]
    return fastconv.Sequential(layers, input_shape=(1, 8, 8), seed=seed)


def dense(filters, seed):
    units = round((convolutional(filters, seed).count_params() - 10) / (64 + 1 + 10))
    layers = ["Flatten", ("Dense", {"units": units}), "ReLU", ("Dense", {"units": 10})]
    return fastconv.Sequential(layers, input_shape=(1, 8, 8), seed=seed)


KINDS = {"dense": dense, "convolutional": convolutional}
parameters = {
    kind: [make(filters, 0).count_params() for filters in FILTERS] for kind, make in KINDS.items()
}
for kind, counts in parameters.items():
    print(f"{kind}: {', '.join(f'{count:,}' for count in counts)} parameters")

# %%
# What is learned
# ---------------


def shuffled(x, seed):
    """Return images whose pixels all have the same new order."""
    order = np.random.default_rng(seed).permutation(64)
    return x.reshape(-1, 64)[:, order].reshape(-1, 1, 8, 8)


def accuracy(kind, filters, seed, shuffle=False):
    """Return the percentage of the test's digits that the network gets right."""
    (x, y), (x_test, y_test) = digits(seed)
    if shuffle:
        x, x_test = shuffled(x, seed), shuffled(x_test, seed)
    net = KINDS[kind](filters, seed)
    net.compile(("adam", {"learning_rate": 0.003}), "softmax_cross_entropy", "accuracy")
    net.fit(x, y, batch_size=64, epochs=EPOCHS, seed=seed, verbose=0)
    return 100 * net.evaluate(x_test, y_test)["accuracy"]


by_size = {
    kind: np.array([[accuracy(kind, size, seed) for size in FILTERS] for seed in SEEDS])
    for kind in KINDS
}
orders = {}
for kind, rows in by_size.items():
    orders[f"{kind}, as it is"] = rows[:, -1]
    orders[f"{kind}, shuffled"] = [accuracy(kind, FILTERS[-1], seed, True) for seed in SEEDS]
columns = {
    f"{count:,} or so": {kind: rows[:, at] for kind, rows in by_size.items()}
    for at, count in enumerate(parameters["convolutional"])
}
print("accuracy in % by the number of parameters\n" + table(columns))
print("\n" + table({"accuracy of the largest, %": orders}))

# %%
# What came out
# -------------

left, right = new(2, width=5.2)
lines(left, parameters["convolutional"], by_size)
left.set(xlabel="parameters", ylabel="accuracy on the test, %", xscale="log")
left.set_xticks(parameters["convolutional"], [f"{p:,}" for p in parameters["convolutional"]])
left.minorticks_off()
dots(right, orders)
right.set(ylabel="accuracy of the largest on the test, %", xlabel="order of the pixels")

for count, rows in columns.items():
    print(f"{count} parameters:", compared("convolutional", "dense", rows))
print(compared("convolutional, as it is", "convolutional, shuffled", orders))
print(compared("dense, as it is", "dense, shuffled", orders))
plt.show()

# %%
# To a dense network every order of the pixels is as good: what differs between its two columns is
# chance. Where a convolutional network loses by shuffling, that is what it had from the shape.
# Equal parameters are not equal computation: a convolution uses each of its weights at every
# place.
