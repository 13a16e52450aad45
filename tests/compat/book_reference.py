"""A small NumPy network with the formulas of the book, to compare with; written for these tests."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def windows(x, size, stride, pad=0):
    """View (N, C, H, W) as (N, C, OH, OW, R, S)."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return sliding_window_view(padded, size, axis=(2, 3))[:, :, ::stride, ::stride]


def spread(taps, shape, stride, pad=0):
    """Add (N, C, OH, OW, R, S) up to where it came from: the adjoint of `windows`."""
    n, c, h, w = shape
    out = np.zeros((n, c, h + 2 * pad, w + 2 * pad))
    _, _, oh, ow, r, s = taps.shape
    for i in range(r):
        for j in range(s):
            out[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride] += taps[..., i, j]
    return out[:, :, pad : pad + h, pad : pad + w]


def conv(x, w, b, stride=1, pad=0):
    seen = windows(x, w.shape[2:], stride, pad)
    return np.einsum("ncijrs,kcrs->nkij", seen, w) + b[:, None, None]


def conv_backward(dy, x, w, stride=1, pad=0):
    seen = windows(x, w.shape[2:], stride, pad)
    taps = np.einsum("nkij,kcrs->ncijrs", dy, w)
    dw = np.einsum("nkij,ncijrs->kcrs", dy, seen)
    return spread(taps, x.shape, stride, pad), dw, dy.sum(axis=(0, 2, 3))


def pool(x, size, stride):
    seen = windows(x, size, stride)
    return seen.max(axis=(4, 5))


def pool_backward(dy, x, size, stride):
    seen = windows(x, size, stride)
    flat = seen.reshape(*seen.shape[:4], -1)
    hot = np.eye(flat.shape[-1])[flat.argmax(axis=-1)].reshape(seen.shape)  # the first maximum
    return spread(hot * dy[..., None, None], x.shape, stride)


def softmax(x):
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def cross_entropy(y, t):
    return -np.log(y[np.arange(len(y)), t] + 1e-7).mean()


def simple_conv_net(params, x, t):
    """Return the loss, and the gradients, of conv - relu - pool - affine - relu - affine."""
    p = params
    a = conv(x, p["W1"], p["b1"])
    r = np.maximum(a, 0)
    q = pool(r, (2, 2), 2)
    flat = q.reshape(len(x), -1)
    h = flat @ p["W2"] + p["b2"]
    k = np.maximum(h, 0)
    y = softmax(k @ p["W3"] + p["b3"])
    d = (y - np.eye(y.shape[1])[t]) / len(x)
    g = {"W3": k.T @ d, "b3": d.sum(axis=0)}
    d = d @ p["W3"].T * (h > 0)
    g |= {"W2": flat.T @ d, "b2": d.sum(axis=0)}
    d = pool_backward((d @ p["W2"].T).reshape(q.shape), r, (2, 2), 2) * (a > 0)
    _, g["W1"], g["b1"] = conv_backward(d, x, p["W1"])
    return cross_entropy(y, t), g


class Descent:
    """The six rules, on a dict of arrays; `state` has what is remembered."""

    def __init__(self, rule, rate, **settings):
        self.rule, self.rate, self.settings = rule, rate, settings
        self.state, self.t = {}, 0

    def update(self, params, grads):
        self.t += 1
        for key, w in params.items():
            m, v = self.state.setdefault(key, (np.zeros_like(w), np.zeros_like(w)))
            getattr(self, self.rule)(w, grads[key], m, v)

    def sgd(self, w, g, m, v):
        w -= self.rate * g

    def momentum(self, w, g, m, v):
        m[...] = 0.9 * m - self.rate * g
        w += m

    def nesterov(self, w, g, m, v):
        w += 0.9 * 0.9 * m - 1.9 * self.rate * g
        m[...] = 0.9 * m - self.rate * g

    def adagrad(self, w, g, m, v):
        v += g * g
        w -= self.rate * g / (np.sqrt(v) + 1e-7)

    def rmsprop(self, w, g, m, v):
        v[...] = 0.99 * v + 0.01 * g * g
        w -= self.rate * g / (np.sqrt(v) + 1e-7)

    def adam(self, w, g, m, v):
        rate = self.rate * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        m += 0.1 * (g - m)
        v += 0.001 * (g * g - v)
        w -= rate * m / (np.sqrt(v) + 1e-7)
