"""
Dropout and weight decay against overfitting
============================================

**The claim.** A network that learns from few examples gets those right, and others less often.
Dropout and weight decay make the gap smaller.

**The question.** With 100 digits to learn from, how many of the test's digits do they win? And if
a fifth of the 100 have a wrong label, do they keep the network from learning that, too?
"""

import matplotlib.pyplot as plt
import numpy as np
from experiment import compared, digits, dots, lines, new, over_all, table

import fastconv

SEEDS = range(5)
ROWS = 100
EPOCHS = 40

# %%
# One network, four ways to train it
# ----------------------------------
# Examples that move by a pixel while they are learned from stand beside the two: they are another
# remedy against few examples.

ADAM = ("adam", {"learning_rate": 0.003})
DECAY = ("adamw", {"learning_rate": 0.003, "weight_decay": 1.0})
WAYS = {
    "nothing": {},
    "dropout": {"dropout": 0.5},
    "weight decay": {"optimizer": DECAY},
    "moved digits": {"transform": fastconv.data.shift(1)},
}
LABELS = {"all labels right": 0.0, "a fifth wrong": 0.2}


def examples(seed, wrong):
    """Return 100 digits to learn from, with that share of wrong labels, and the test."""
    (x, y), test = digits(seed)
    few, _ = fastconv.data.stratified_split(y, 1 - ROWS / len(y), seed=seed)
    rng = np.random.default_rng(seed)
    changed = rng.random(len(few)) < wrong
    return x[few], np.where(changed, (y[few] + rng.integers(1, 10, len(few))) % 10, y[few]), test


def learned(seed, wrong, dropout=0.0, optimizer=ADAM, transform=None):
    """Return the loss on the test in every epoch, and the accuracies: the examples, the test."""
    x, y, test = examples(seed, wrong)
    net = fastconv.Sequential(
        [("Conv2D", {"filters": 16, "kernel_size": 3}), "ReLU", ("MaxPool2D", {"pool_size": 2}),
         "Flatten", ("Dense", {"units": 128}), "ReLU", ("Dropout", {"rate": dropout}),
         ("Dense", {"units": 10})],
        input_shape=(1, 8, 8), seed=seed)  # fmt: skip
    net.compile(optimizer, "softmax_cross_entropy", "accuracy")
    net.fit(x, y, batch_size=20, epochs=EPOCHS, seed=seed, transform=transform, verbose=0,
            validation_data=test)  # fmt: skip
    accuracies = [100 * net.evaluate(*rows)["accuracy"] for rows in ((x, y), test)]
    return net.history.history["val_loss"], *accuracies


found = {
    label: {name: [learned(seed, wrong, **way) for seed in SEEDS] for name, way in WAYS.items()}
    for label, wrong in LABELS.items()
}
right = {}
for label, rows in found.items():
    seen = {name: [run[1] for run in runs] for name, runs in rows.items()}
    right[label] = {name: [run[2] for run in runs] for name, runs in rows.items()}
    gap = {name: np.subtract(seen[name], right[label][name]) for name in WAYS}
    print(f"{label}\n{table({'examples, %': seen, 'test, %': right[label], 'gap, points': gap})}\n")

# %%
# What came out
# -------------

for label, rows in found.items():
    left, middle = new(2, width=5.5)
    losses = {name: [run[0] for run in runs] for name, runs in rows.items()}
    lines(left, range(1, EPOCHS + 1), losses)
    left.set(xlabel="epoch", ylabel="loss on the test", title=label, ylim=0)
    dots(middle, right[label])
    middle.set(ylabel="accuracy on the test, %", title=label)
    print(f"With {label}:", over_all(right[label]))
    for name in WAYS:
        if name != "nothing":
            print(f"With {label}:", compared(name, "nothing", right[label]))
plt.show()

# %%
# Accuracies on the examples are taken after training, without dropout and on digits that did not
# move. The strengths, a half of the units and a decay of 1, are one choice among many: ``WAYS`` is
# the place to try others.
