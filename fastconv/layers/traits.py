"""What a layer says of itself, so that what connects, plans and runs layers knows no names."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastconv.activations import Act
from fastconv.layers.spec import FLOATS

__all__ = ["Affine", "Traits"]


class Affine(NamedTuple):
    """``(x - mean) * scale + shift``, each a number for each channel, which is axis 1.

    Attributes
    ----------
    mean, scale, shift : ndarray (C,), float64
    """

    mean: np.ndarray
    scale: np.ndarray
    shift: np.ndarray


class Traits:
    """What is true of a class of layers unless it says otherwise; the base of `Layer`.

    Each trait is a promise. If a layer keeps it, networks run faster or in less memory. Only
    `folded` changes bits, and it serves only networks made for inference. If a layer breaks a
    promise, results are wrong. So `fastconv.testing.check_layer` tries every trait that a layer
    declares.

    A promise holds for the class that makes it. Its subclasses may compute something else, so
    they must repeat it: only `new_gradients`, `normalizes` and `packs` are inherited. A trait
    that depends on the settings may be a property.
    """

    # Inputs

    # The dtypes that inputs may have, as `Spec` names them; others are refused.
    takes: tuple[str, ...] = FLOATS

    # Whether an input may have its batch on any axis, or none; ``spec.batch_axis`` says which.
    # Otherwise the batch is axis 0.
    any_batch_axis: bool = False

    # Numbers

    # What the numbers of the output are, which `compile` holds against the loss: "values", any
    # numbers; "probabilities", shares that axis 1 divides among classes; "chances", each from 0
    # to 1; "bounded", each from -1 to 1; "input", what the numbers of the only input are;
    # "elements", numbers of the only input, perhaps only some of them or in other places. None
    # means that nothing is known.
    gives: str | None = None

    # What makes them so, for messages, such as "Sigmoid". None means the layer's class.
    given_by: str | None = None

    # Whether the layer brings inputs of any scale, such as pixels from 0 to 255, to a usual one.
    normalizes: bool = False

    # Whether in training the output depends on sums over the batch, which pieces of it add up to.
    # `moments` gives those of a piece, `merged` those of two, and `gradient_sums` what a piece adds
    # to what the gradient needs. ``ctx.moments`` and ``ctx.slopes`` are then those of the batch.
    synchronises: bool = False

    # Memory

    # Whether the output is the first input's memory in another shape.
    output_is_view: bool = False

    # Whether the output is a new array that `backward` does not read. The layer behind may then
    # write over it.
    output_may_be_overwritten: bool = False

    # Whether `forward` writes its output over its only input, and `backward` its result over
    # `dy`, where ``ctx.may_overwrite`` allows it and ``ctx.reusable`` gives the array.
    overwrites_input: bool = False

    # Whether `backward` returns one array that is new, or `dy` itself or a view of it. The layer
    # before may then write over it. A layer that returns what something else still reads must not
    # set this.
    new_gradients: bool = False

    # Whether `backward` returns `dy` itself, or a view of it, for every input.
    passes_gradient: bool = False

    # The learned parameters that `pack` packs. While they learn, a packed form serves one call.
    packs: tuple[str, ...] = ()

    # Fusing

    # The name of the function that the layer applies to each element, by which other layers can
    # compute it too (see `with_activation`). Names of third parties have a dot in them. If there
    # are settings other than the defaults, it is a pair of the name and a tuple of pairs, such as
    # ``("elu", (("alpha", 2.0),))``.
    acts_as: Act | None = None

    # Such names of functions that may be applied before the layer or after it: outputs and
    # gradients are the same in either order, bit for bit.
    commutes_with: frozenset[Act] = frozenset()

    # Whether a layer that `with_activation` gives serves in training too. If not, it does only in
    # inference: where both layers' backward passes take less memory one after the other.
    fuses_in_training: bool = True

    # Whether in inference the output is the sum of the inputs, from the first to the last, each
    # partial sum rounded. The layer that makes one of two may then add it (see `with_addition`).
    is_sum: bool = False

    # Whether the layer is an `Affine` in inference, and `affine` says which.
    channel_affine: bool = False

    # Whether the layer can take over the Affine behind it (see `folded`).
    folds_affine: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        mixed = [c for base in cls.__bases__ if not issubclass(base, Traits) for c in base.__mro__]
        for trait in _OWN:
            if trait not in cls.__dict__:
                # what a class that is no layer brings along is said of this one
                said = next((vars(c)[trait] for c in mixed if trait in vars(c)), None)
                setattr(cls, trait, vars(Traits)[trait] if said is None else said)

    def idle(self, training: bool) -> bool:
        """Return whether the output is the input itself, and `backward` returns `dy` itself.

        `training` is what ``ctx.training`` would be. Networks that are made for inference leave
        out what is idle in inference.
        """
        return False

    def with_activation(self, name: Act) -> Any:
        """Return a layer that computes this one and then the function `name`, or None.

        The new layer has the same parameters. Its output and all gradients have the bits that
        both layers, one after the other, would give. ``self.twin()`` makes such a layer. `name`
        is what another layer `acts_as`.
        """
        return None

    def with_addition(self) -> Any:
        """Return a layer that computes this one and adds one input more, the last, or None.

        It serves in inference alone, and has the same parameters. Its output has the bits of the
        sum, and is written over the last input where ``ctx.reusable`` gives that.
        """
        return None

    def affine(self) -> Affine:
        """Return what a layer that is `channel_affine` computes in inference."""
        raise NotImplementedError(f"{type(self).__name__}: affine must be defined")

    def folded(self, affine: Affine) -> Any:
        """Return a layer that computes this one and then `affine`, with parameters of its own.

        The results are equal up to rounding. Only layers that declare `folds_affine` are asked.
        """
        raise NotImplementedError(f"{type(self).__name__}: folded must be defined")

    def moments(self, *xs: np.ndarray) -> np.ndarray:
        """Return what a piece of a batch adds to what a layer that `synchronises` takes of it."""
        raise NotImplementedError(f"{type(self).__name__}: moments must be defined")

    def merged(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the moments of two pieces together, as new numbers."""
        raise NotImplementedError(f"{type(self).__name__}: merged must be defined")

    def gradient_sums(self, ctx: Any, dy: np.ndarray) -> np.ndarray:
        """Return what a piece adds to what the gradient of a layer that `synchronises` needs.

        Those of pieces are added. `ctx` is that of the forward pass, and gets the gradients of the
        parameters.
        """
        raise NotImplementedError(f"{type(self).__name__}: gradient_sums must be defined")

    @property
    def patched(self) -> bool:
        """Whether this object has its own `forward` or `backward`, so that no promise holds."""
        own = self.__dict__
        return "forward" in own or "backward" in own


#: What a subclass does not inherit.
_OWN = (
    "takes",
    "any_batch_axis",
    "gives",
    "given_by",
    "output_is_view",
    "output_may_be_overwritten",
    "overwrites_input",
    "passes_gradient",
    "acts_as",
    "commutes_with",
    "channel_affine",
    "fuses_in_training",
    "folds_affine",
    "synchronises",
    "idle",
    "with_activation",
    "is_sum",
    "with_addition",
    "affine",
    "folded",
    "moments",
    "merged",
    "gradient_sums",
)
