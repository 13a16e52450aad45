"""
im2col against direct convolution: time and memory
==================================================

**The claim.** im2col copies every window into a matrix, so that one matrix product convolves. That
takes more memory than nested loops, and much less time.

**The question.** How much memory, how much time, and what does a convolution take that reads the
image in place, but not in loops of Python?
"""

import matplotlib.pyplot as plt
import numpy as np
from experiment import compared, lines, milliseconds, new, table

import fastconv

SEEDS = range(5)
SIZES = (1, 3, 5, 7)
ALGORITHMS = ("direct", "im2col_tiled", "im2col")

# %%
# The example of a lecture
# ------------------------
# Ten images (3, 7, 7) and filters of 5x5: how many numbers there are, and how many in the matrix.

images = np.zeros((10, 3, 7, 7), np.float32)
columns = fastconv.im2col(images, 5, 5)
print(f"{images.shape} -> {columns.shape}: {images.size} numbers become {columns.size},", end=" ")
print(f"{columns.size / images.size:.2f} times as many")

# %%
# Nested loops
# ------------
# One digit, and 16 filters of 3x3. All three ways compute the same.


def loops(image, weight):
    """Convolve an image (C, H, W) with weights (K, C, R, S), as the formula says it."""
    filters, channels, rows, columns = weight.shape
    height, width = image.shape[1] - rows + 1, image.shape[2] - columns + 1
    y = np.zeros((filters, height, width), image.dtype)
    for k, i, j in np.ndindex(*y.shape):
        for c, r, s in np.ndindex(channels, rows, columns):
            y[k, i, j] += image[c, i + r, j + s] * weight[k, c, r, s]
    return y


x, _ = fastconv.data.digits()
taken = {"nested loops": [], "im2col": [], "direct": []}
for seed in SEEDS:
    digit = x[seed : seed + 1]
    weight = np.random.default_rng(seed).standard_normal((16, 1, 3, 3)).astype(np.float32)
    named = {name: fastconv.conv2d(digit, weight, algorithm=name) for name in ("im2col", "direct")}
    assert all(np.allclose(loops(digit[0], weight), y[0], atol=1e-5) for y in named.values())
    taken["nested loops"].append(milliseconds(loops, digit[0], weight, runs=3))
    for name in named:
        taken[name].append(milliseconds(fastconv.conv2d, digit, weight, algorithm=name))
print(table({"ms": taken}, digits=4))

# %%
# Larger layers
# -------------
# Twenty digits, drawn as 32x32, go through 32 filters and then through the layer that is measured,
# which has 32 more; the size of its kernel changes. ``conv2d_costs`` and the plan of a network say
# the bytes before anything runs, ``track`` counts them. Times are of one thread.

large = fastconv.upsample2d(x[:20], 4)
first = np.random.default_rng(0).standard_normal((32, 1, 3, 3)).astype(np.float32)
maps = fastconv.conv2d(large, first, padding="same", activation="relu")
fastconv.set_num_threads(1)
workspace = {name: [] for name in ALGORITHMS}
times = {name: np.zeros((len(SEEDS), len(SIZES))) for name in ALGORITHMS}
for at, size in enumerate(SIZES):
    for name in ALGORITHMS:
        shape = (32, 32, size, size)
        stated = fastconv.conv2d_costs(maps.shape, shape, padding="same")[name].workspace
        for seed in SEEDS:
            weight = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
            with fastconv.memory.track() as used:
                fastconv.conv2d(maps, weight, padding="same", algorithm=name)
            assert used.workspace_peak == stated
            times[name][seed, at] = milliseconds(
                fastconv.conv2d, maps, weight, padding="same", algorithm=name, runs=3
            )
        workspace[name].append(stated / 1e6)
fastconv.set_num_threads(None)
print("workspace in MB, beside an input of", f"{maps.nbytes / 1e6:.1f} MB")
print(
    table(
        {
            f"{s}x{s}": {n: f"{w[at]:.2f}" for n, w in workspace.items()}
            for at, s in enumerate(SIZES)
        }
    )
)
print("\nms")
columns = {
    f"{size}x{size}": {n: t[:, at] for n, t in times.items()} for at, size in enumerate(SIZES)
}
print(table(columns))

# %%
# A whole network
# ---------------
# What is alive at the worst moment of a run, by the plan, and as it was measured.


def network(algorithm):
    conv = ("Conv2D", {"filters": 32, "kernel_size": 3, "padding": "same", "algorithm": algorithm})
    layers = [conv, "ReLU", conv, "ReLU", ("MaxPool2D", {"pool_size": 2}), "Flatten",
              ("Dense", {"units": 10})]  # fmt: skip
    return fastconv.Sequential(layers, input_shape=large.shape[1:], seed=0)


for name in ALGORITHMS:
    net = network(name)
    planned = net.plan(batch_size=len(large)).peak
    print(
        f"{name}: {planned / 1e6:.2f} MB planned, {net.measure(len(large)) / 1e6:.2f} MB measured"
    )

# %%
# What came out
# -------------

left, right = new(2, width=5)
lines(left, SIZES, {name: [values] for name, values in workspace.items()})
left.set(xlabel="size of the kernel, pixels", ylabel="workspace, MB", xticks=SIZES)
lines(right, SIZES, times)
right.set(xlabel="size of the kernel, pixels", ylabel="ms on one thread", ylim=0, xticks=SIZES)

for size, rows in columns.items():
    print(f"{size}:", compared("direct", "im2col", rows, "ms"))
plt.show()

# %%
# The bytes are exact: they are asserted above. The seeds draw other weights, which changes no
# step of the computation; so the bands of the times show how steady the machine was. Loops of
# Python take their time for being Python. What reads the image in place in compiled loops
# needs no matrix, and the sentences say what that costs in time.
