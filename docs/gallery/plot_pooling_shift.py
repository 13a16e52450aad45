"""
Pooling, and digits that moved by a pixel
=========================================

**The claim.** Pooling makes a network robust against small shifts: where the largest value moves
inside one window, its maximum stays what it was.

**The question.** How many answers stay right when all digits of the test move by one pixel: with
maxima, with averages, without any pooling, and with strides in its place?
"""

import matplotlib.pyplot as plt
import numpy as np
from experiment import compared, digits, dots, lines, new, over_all, table

import fastconv

SEEDS = range(5)
EPOCHS = 10

# %%
# One window
# ----------
# A bright pixel moves by one inside its window of 2x2, and then by one across the border.

for column in (0, 1, 2):
    image = np.zeros((1, 1, 4, 4), np.float32)
    image[0, 0, 0, column] = 1
    largest = fastconv.max_pool2d(image, 2)[0, 0].tolist()
    mean = fastconv.avg_pool2d(image, 2)[0, 0].tolist()
    print(f"bright at column {column}: max {largest}, average {mean}")

# %%
# What is learned
# ---------------
# The digits stand on a page of 12x12, so that nothing is lost when they move. Only the last of the
# networks sees moved digits while it learns.


def conv(filters, stride=1):
    settings = {"filters": filters, "kernel_size": 3, "stride": stride, "padding": "same"}
    return "Conv2D", {**settings, "activation": "relu"}


def pooled(pool):
    return [conv(8), (pool, {"pool_size": 2}), conv(16), (pool, {"pool_size": 2})]


NETWORKS = {
    "max": pooled("MaxPool2D"),
    "average": pooled("AvgPool2D"),
    "stride 2": [conv(8, 2), conv(16, 2)],
    "none": [conv(8), conv(16)],
    "max, moved digits": pooled("MaxPool2D"),
}
SHIFTS = (0, 1, 2)


def page(x):
    return np.pad(x, [(0, 0), (0, 0), (2, 2), (2, 2)])


def moved(images, pixels):
    """Return the images moved up, down, left and right."""
    return [np.roll(images, step, axis) for axis in (2, 3) for step in (-pixels, pixels)]


def answers(name, seed):
    """Return of each shift the percentages of right answers, and of those that stayed the same."""
    (x, y), (x_test, y_test) = digits(seed)
    layers = [*NETWORKS[name], "Flatten", ("Dense", {"units": 10})]
    net = fastconv.Sequential(layers, input_shape=(1, 12, 12), seed=seed)
    net.compile(("adam", {"learning_rate": 0.003}), "softmax_cross_entropy")
    transform = fastconv.data.shift(1) if "moved" in name else None
    net.fit(page(x), y, batch_size=64, epochs=EPOCHS, seed=seed, transform=transform, verbose=0)
    there = net.predict(page(x_test)).argmax(1)
    right, same = [], []
    for pixels in SHIFTS:
        found = [net.predict(images).argmax(1) for images in moved(page(x_test), pixels)]
        right.append(100 * np.mean(found == y_test))
        same.append(100 * np.mean(found == there))
    return right, same


found = {name: np.array([answers(name, seed) for seed in SEEDS]) for name in NETWORKS}
right = {name: rows[:, 0] for name, rows in found.items()}
same = {name: rows[:, 1, 1] for name, rows in found.items()}
heads = {
    f"right at {pixels} px, %": {n: r[:, pixels] for n, r in right.items()} for pixels in SHIFTS
}
print(table({**heads, "same at 1 px, %": same}))

# %%
# What came out
# -------------

left, middle = new(2, width=5.5)
lines(left, SHIFTS, right)
left.set(xlabel="shift of the test's digits, pixels", ylabel="right answers, %", xticks=SHIFTS)
dots(middle, same)
middle.set_ylabel("same answer after a shift by one pixel, %")

print(over_all(same))
print("Same answers:", compared("max", "average", same))
print("Same answers:", compared("max", "none", same))
print("Same answers:", compared("max", "stride 2", same))
plt.show()

# %%
# The four directions count alike. A shift of two pixels keeps the first layer's windows on the same
# pixels, and moves their maxima by a whole one. So what one window shows holds of a whole network
# only in part; the picture says how far, beside what moved examples in training do.
