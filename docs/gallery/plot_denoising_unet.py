"""
A U-Net that removes noise
==========================

**The claim.** A network can also answer with an image. A U-Net makes maps smaller and then larger
again, and joins those of equal size: what it knows of the whole meets what it knows of each pixel.

**The question.** How much of the noise in an image does it remove? And what of it is due to the
shortcuts that join its two sides?
"""

import matplotlib.pyplot as plt
import numpy as np
from experiment import compared, digits, lines, new, table

import fastconv

SEEDS = range(5)
NOISE = 0.3
EPOCHS = 8

# %%
# Networks that answer with an image
# ----------------------------------
# ``UNet`` is known by name. Its configuration is a dict: without shortcuts, the layers that join
# are left out. What is learned from is noisy, and the answer is the image without noise: the noise
# is a transform, drawn anew for every batch, which leaves y alone.


def network(shortcuts, seed):
    net = fastconv.create_model(
        "UNet", classes=1, input_shape=(1, 8, 8), filters=8, depth=2, seed=seed
    )
    if shortcuts:
        return net
    config = net.to_config()
    config["nodes"] = [node for node in config["nodes"] if "Concatenate" not in node["layer"]]
    for node in config["nodes"]:
        node.pop("from", None)  # each reads the node before
    return fastconv.from_config(config, seed=seed)


def noisy(x, scale, seed):
    """Return images with noise in them."""
    return fastconv.data.noise(scale)(np.random.default_rng(seed), x)[0]


def learned(shortcuts, seed):
    (x, _), _ = digits(seed)
    net = network(shortcuts, seed)
    net.compile(("adam", {"learning_rate": 0.003}), "mean_squared_error")
    transform = fastconv.data.noise(NOISE)
    net.fit(x, x, batch_size=64, epochs=EPOCHS, seed=seed, transform=transform, verbose=0)
    return net


# %%
# Beside it: a mean
# -----------------
# The simplest way to remove noise is the mean of each pixel and its neighbours.


def blurred(x):
    return fastconv.avg_pool2d(x, 3, stride=1, padding=1)


SCALES = (0.1, 0.2, 0.3, 0.4, 0.5)
WAYS = ("noisy", "mean of 3x3", "U-Net", "without shortcuts")
errors = {way: np.zeros((len(SEEDS), len(SCALES))) for way in WAYS}
for seed in SEEDS:
    _, (x, _) = digits(seed)
    nets = {"U-Net": learned(True, seed), "without shortcuts": learned(False, seed)}
    for at, scale in enumerate(SCALES):
        given = noisy(x, scale, seed)
        made = {"noisy": given, "mean of 3x3": blurred(given)}
        made |= {name: net.predict(given) for name, net in nets.items()}
        for way, images in made.items():
            errors[way][seed, at] = np.sqrt(np.mean((images - x) ** 2))

columns = {
    f"{scale:g}": {way: rows[:, at] for way, rows in errors.items()}
    for at, scale in enumerate(SCALES)
}
for name, net in nets.items():
    print(f"{name}: {net.count_params():,} parameters")
print("\nerror that is left, by the standard deviation of the noise; pixels go from 0 to 1")
print(table(columns, digits=3))

# %%
# What it looks like
# ------------------
# Eight digits of the last seed's test.

given = noisy(x[:8], NOISE, 0)
rows = {"without noise": x[:8], "noisy": given, "mean of 3x3": blurred(given)}
rows |= {name: net.predict(given) for name, net in nets.items()}
figure, axes = plt.subplots(len(rows), 8, figsize=(8, 5.4), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for one, image in zip(line, images, strict=True):
        one.imshow(image[0], cmap="gray_r", vmin=0, vmax=1)
        one.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")

# %%
# What came out
# -------------

(axes,) = new(width=6.5, height=4.2)
lines(axes, SCALES, errors)
axes.axvline(NOISE, color="#888888", linestyle=":", linewidth=1)
axes.annotate("learned with", (NOISE, 0.02), xytext=(4, 0), textcoords="offset points", size=9)
axes.set(
    xlabel="standard deviation of the noise", ylabel="error left, root of the mean square", ylim=0
)

at_noise = columns[f"{NOISE:g}"]
for way in ("noisy", "mean of 3x3", "without shortcuts"):
    print(f"Errors at {NOISE:g}:", compared("U-Net", way, at_noise, "of the range", digits=3))
low = columns[f"{SCALES[0]:g}"]
print(f"Errors at {SCALES[0]:g}:", compared("U-Net", "noisy", low, "of the range", digits=3))
plt.show()

# %%
# The networks learned with noise of one strength alone, the dotted line. Left of it the question is
# also whether they leave alone what is hardly noisy; the last sentence answers it.
