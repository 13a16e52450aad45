"""
Optimizers compared
===================

**The claim.** Adagrad, RMSprop and Adam give each weight a step of its own, and learn faster than
plain stochastic gradient descent; momentum and Nesterov's form of it are faster than that, too.

**The question.** Is that so at the learning rates that the optimizers have unless another is given?
And is it still so if each has the rate that suits it best?
"""

import matplotlib.pyplot as plt
import numpy as np
from experiment import COLOURS, compared, digits, lines, new, over_all, table

import fastconv

SEEDS = range(5)
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
EPOCHS = 5

# %%
# A network, and all rates
# ------------------------
# Each optimizer gets the same first weights and the same batches. A rate that is too large may end
# in numbers that are not finite: training goes on, and its accuracy says so.


def learned(optimizer, seed, epochs):
    """Return the loss of every epoch, and the percentage of the test's digits that are right."""
    (x, y), test = digits(seed)
    net = fastconv.Sequential(
        [("Conv2D", {"filters": 8, "kernel_size": 3}), "ReLU", ("MaxPool2D", {"pool_size": 2}),
         "Flatten", ("Dense", {"units": 10})],
        input_shape=(1, 8, 8), seed=seed)  # fmt: skip
    net.compile(optimizer, "softmax_cross_entropy", "accuracy")
    net.fit(x, y, batch_size=100, epochs=epochs, seed=seed, verbose=0, stop_on_nan=False)
    return net.history.history["loss"], 100 * net.evaluate(*test)["accuracy"]


curves, default = {}, {}
for name in OPTIMIZERS:
    runs = [learned(name, seed, 2 * EPOCHS) for seed in SEEDS]
    curves[name] = [loss for loss, _ in runs]
    default[name] = [accuracy for _, accuracy in runs]

by_rate = {
    name: np.array(
        [[learned((name, {"learning_rate": rate}), seed, EPOCHS)[1] for rate in RATES]
         for seed in SEEDS]
    )
    for name in OPTIMIZERS
}  # fmt: skip
best = {name: int(rows.mean(0).argmax()) for name, rows in by_rate.items()}
tuned = {name: by_rate[name][:, at] for name, at in best.items()}
print(
    table(
        {
            f"default rate, {2 * EPOCHS} epochs, %": default,
            f"best rate, {EPOCHS} epochs, %": tuned,
            "that rate": {name: f"{RATES[at]:g}" for name, at in best.items()},
        }
    )
)

# %%
# What came out
# -------------

left, right = new(2, width=5.5)
lines(left, range(1, 2 * EPOCHS + 1), curves)
left.set(xlabel="epoch", ylabel="mean loss of the epoch", yscale="log", title="default rates")
for name, colour in zip(OPTIMIZERS, COLOURS, strict=False):
    lines(right, RATES, {name: by_rate[name]}, [colour])
right.get_legend().remove()
right.set(xscale="log", xlabel="learning rate", title=f"after {EPOCHS} epochs")
right.set_ylabel("accuracy on the test, %")

print("At the default rates:", over_all(default))
print("At the best rates:", over_all(tuned))
for name in OPTIMIZERS[1:]:
    print("At the best rates:", compared(name, "sgd", tuned))
plt.show()

# %%
# The best rate is the one with the highest mean of the seeds. Its accuracy is that of the same
# test, so it looks a little better than it is, for all optimizers alike. How far the two rankings
# differ is how much a ranking of optimizers is one of their rates. A best rate at the end of the
# list might be beaten by one beyond it.
