"""
Dropout and weight decay against overfitting
============================================

**The claim.** A network that learns from few examples gets those right, and others less often.
Dropout and weight decay make the gap smaller.

**The question.** With 100 digits to learn from, how many of the test's digits do they win? And
how much do examples win that are moved by a pixel while they are learned from?
"""

import matplotlib.pyplot as plt
from experiment import compared, digits, dots, lines, new, over_all, table

import fastconv

SEEDS = range(6)
ROWS = 100
EPOCHS = 60

# %%
# One network, five ways to train it
# ----------------------------------

RATE = {"learning_rate": 0.003}
WAYS = {
    "nothing": {},
    "dropout": {"dropout": 0.5},
    "weight decay": {"optimizer": ("adamw", {**RATE, "weight_decay": 1.0})},
    "both": {"dropout": 0.5, "optimizer": ("adamw", {**RATE, "weight_decay": 1.0})},
    "moved digits": {"transform": fastconv.data.shift(1)},
}


def learned(seed, dropout=0.0, optimizer=("adam", RATE), transform=None):
    """Return the test's loss in every epoch, and both accuracies: what was learned, the test."""
    (x, y), test = digits(seed)
    few, _ = fastconv.data.stratified_split(y, 1 - ROWS / len(y), seed=seed)
    net = fastconv.Sequential(
        [("Conv2D", {"filters": 16, "kernel_size": 3}), "ReLU", ("MaxPool2D", {"pool_size": 2}),
         "Flatten", ("Dense", {"units": 128}), "ReLU", ("Dropout", {"rate": dropout}),
         ("Dense", {"units": 10})],
        input_shape=(1, 8, 8), seed=seed)  # fmt: skip
    net.compile(optimizer, "softmax_cross_entropy", "accuracy")
    net.fit(x[few], y[few], batch_size=20, epochs=EPOCHS, seed=seed, transform=transform, verbose=0,
            validation_data=test)  # fmt: skip
    seen = net.evaluate(x[few], y[few])["accuracy"]
    return net.history.history["val_loss"], 100 * seen, 100 * net.evaluate(*test)["accuracy"]


found = {name: [learned(seed, **way) for seed in SEEDS] for name, way in WAYS.items()}
seen = {name: [run[1] for run in runs] for name, runs in found.items()}
test = {name: [run[2] for run in runs] for name, runs in found.items()}
gap = {name: [a - b for a, b in zip(seen[name], test[name], strict=True)] for name in WAYS}
print(table({"learned from, %": seen, "test, %": test, "gap, points": gap}))

# %%
# What came out
# -------------

left, right = new(2, width=5.5)
curves = {name: [run[0] for run in runs] for name, runs in found.items()}
lines(left, range(1, EPOCHS + 1), curves)
left.set(xlabel="epoch", ylabel="loss on the test", yscale="log")
dots(right, test)
right.set_ylabel("accuracy on the test, %")

print(over_all(test))
for name in WAYS:
    if name != "nothing":
        print(compared(name, "nothing", test))
plt.show()

# %%
# Accuracies of training are taken afterwards, without dropout and on digits that did not move. The
# strengths, a half of the units and a decay of 1, are one choice among many: ``WAYS`` is the place
# to try others.
