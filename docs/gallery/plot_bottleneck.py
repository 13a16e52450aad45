"""
1x1 convolutions as a bottleneck
================================

**The claim.** A 1x1 convolution that makes fewer channels of many, before a 3x3 convolution,
saves parameters and computation: itself it computes a ninth of what a 3x3 convolution does. It
also brings one more ReLU.

**The question.** How much does it save, in numbers and in time, and what happens to the accuracy?
"""

import matplotlib.pyplot as plt
import numpy as np
from experiment import COLOURS, compared, digits, dots, milliseconds, new, over_all, table

import fastconv

SEEDS = range(5)
EPOCHS = 10


def conv(filters, kernel_size):
    return "Conv2D", {"filters": filters, "kernel_size": kernel_size, "padding": "same"}


# %%
# What is counted
# ---------------
# A usual example: an image of 100x100 with 32 channels, and 64 filters of 3x3. The plan of a
# network knows the numbers before anything is computed. Times are of one image on one thread; a
# round is the fastest of ten runs.

WAYS = {
    "directly": [conv(64, 3)],
    "through 16": [conv(16, 1), "ReLU", conv(64, 3)],
    "through 8": [conv(8, 1), "ReLU", conv(64, 3)],
    "through 4": [conv(4, 1), "ReLU", conv(64, 3)],
    "1x1 alone": [conv(64, 1)],
}

fastconv.set_num_threads(1)
image = np.random.default_rng(0).random((1, 32, 100, 100), np.float32)
nets = {name: fastconv.Sequential(way, input_shape=(32, 100, 100)) for name, way in WAYS.items()}
parameters = {name: net.count_params() for name, net in nets.items()}
multiplications = {name: net.plan(batch_size=1).multiply_adds for name, net in nets.items()}
times = {name: [] for name in nets}
for _ in SEEDS:
    for name, net in nets.items():
        times[name].append(milliseconds(net, image, runs=10))
fastconv.set_num_threads(None)

share = multiplications["1x1 alone"] / multiplications["directly"]
print(table({"parameters": parameters, "multiply-adds": multiplications, "ms": times}, digits=2))
print(f"\nA 1x1 convolution alone computes {share:.4f} of a 3x3 one: 1/9 is {1 / 9:.4f}.")
print("In time,", compared("through 16", "directly", times, "ms", digits=2, repeat="round"))

# %%
# What is learned
# ---------------
# The same blocks stand in the middle of a network for the digits. One of them has no ReLU between
# its two convolutions, which shows what that adds.

BLOCKS = {name: way for name, way in WAYS.items() if name != "1x1 alone"}
BLOCKS["through 16, no ReLU"] = [conv(16, 1), conv(64, 3)]


def accuracy(block, seed):
    """Return the percentage of the test's digits that a network with this block gets right."""
    (x, y), test = digits(seed)
    net = fastconv.Sequential(
        [conv(32, 3), "ReLU", ("MaxPool2D", {"pool_size": 2}), *block, "ReLU",
         ("MaxPool2D", {"pool_size": 2}), "Flatten", ("Dense", {"units": 10})],
        input_shape=(1, 8, 8), seed=seed)  # fmt: skip
    net.compile(("adam", {"learning_rate": 0.003}), "softmax_cross_entropy", "accuracy")
    net.fit(x, y, batch_size=64, epochs=EPOCHS, seed=seed, verbose=0)
    return 100 * net.evaluate(*test)["accuracy"]


accuracies = {name: [accuracy(block, seed) for seed in SEEDS] for name, block in BLOCKS.items()}
print(table({"accuracy, %": accuracies}))

# %%
# What came out
# -------------

left, middle, right = new(3)
left.bar(list(WAYS), parameters.values(), color=COLOURS)
left.set_ylabel("parameters of the block")
dots(middle, times)
middle.set_ylabel("ms for one image of 100x100")
middle.set_ylim(0)
dots(right, accuracies)
right.set_ylabel("accuracy on the test, %")
for axes in (left, middle, right):
    axes.tick_params(axis="x", labelsize=9)

print(over_all(accuracies, "%"))
print(compared("through 16", "directly", accuracies))
print(compared("through 16", "through 16, no ReLU", accuracies))
plt.show()

# %%
# Parameters and multiply-adds are exact, and the same on every machine; times are those of the
# machine that made this page. A dot is a seed, which decides about the split of the digits, the
# first weights, and the order of rows. Where seeds disagree, the sentences say that this
# experiment does not tell two blocks apart: more digits, or more seeds, might.
