"""What a layer says of itself, so that those who connect, plan and run layers know no names."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

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

    Each trait is a promise. Where it is kept, networks run faster or in less memory, and no bit
    changes but by `folded`, which serves networks made for inference alone. Where it is broken
    results are wrong, so `fastconv.testing.check_layer` tries every trait that a layer declares.

    A promise holds for the class that makes it, and not for its subclasses, which may compute
    something else: they say it anew. `new_gradients`, `normalizes` and `packs` alone are inherited.
    A trait that depends on the settings may be a property.
    """

    # Inputs

    # The dtypes, as `Spec` has them, that inputs may be of; others are refused.
    takes: tuple[str, ...] = FLOATS

    # Whether the batch of an input may be on any axis, or missing, as ``spec.batch_axis`` says;
    # else it is axis 0.
    any_batch_axis: bool = False

    # Numbers

    # What the numbers of the output are, which `compile` holds against the loss: "values", any
    # numbers; "probabilities", shares that axis 1 divides among classes; "chances", each from 0
    # to 1; "bounded", each from -1 to 1; "input", what those of the only input are; "elements",
    # the numbers of the only input, some of them or in other places. None: nothing is known.
    gives: str | None = None

    # Whether inputs of any scale, such as pixels from 0 to 255, are brought to a usual one here.
    normalizes: bool = False

    # Memory

    # Whether the output is the first input's memory in another shape.
    output_is_view: bool = False

    # Whether the output is a new array that `backward` does not read: the layer behind may then
    # write over it.
    output_may_be_overwritten: bool = False

    # Whether `forward` writes its output over its only input, and `backward` its result over
    # `dy`, where ``ctx.may_overwrite`` allows it and ``ctx.reusable`` gives the array.
    overwrites_input: bool = False

    # Whether `backward` returns one array that is new, or `dy` itself or a view of it: the layer
    # before may then write over it. Not so where it returns what something else still reads.
    new_gradients: bool = False

    # Whether `backward` returns `dy` itself, or a view of it, for every input.
    passes_gradient: bool = False

    # The learned parameters that `pack` packs: while they learn, packed forms serve one call.
    packs: tuple[str, ...] = ()

    # Fusing

    # The function of one element that the layer is, by the name under which other layers can
    # compute it too (see `with_activation`); those of third parties have a dot in it.
    acts_as: str | None = None

    # The functions, by such names, that may be applied before the layer or after it: outputs and
    # gradients are the same, bit for bit.
    commutes_with: frozenset[str] = frozenset()

    # Whether the layer is an `Affine` in inference, and `affine` says which.
    channel_affine: bool = False

    # Whether the layer can take over the Affine behind it, see `folded`.
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

        In inference, or in `training` as ``ctx.training`` has it. What is idle in inference is
        left out of networks that are made for it.
        """
        return False

    def with_activation(self, name: str) -> Any:
        """Return a layer that computes this one and then the function `name`, or None.

        On the same parameters, with the bits of both layers one after the other: of the output
        and of all gradients. ``self.twin()`` makes one. `name` is what another layer `acts_as`.
        """
        return None

    def affine(self) -> Affine:
        """Return what a layer that is `channel_affine` computes in inference."""
        raise NotImplementedError(f"{type(self).__name__}: affine must be defined")

    def folded(self, affine: Affine) -> Any:
        """Return a layer that computes this one and then `affine`, with parameters of its own.

        Equal up to rounding. Asked of a layer that `folds_affine`.
        """
        raise NotImplementedError(f"{type(self).__name__}: folded must be defined")

    @property
    def patched(self) -> bool:
        """Whether this one object has a `forward` or `backward` of its own: no promise holds."""
        own = self.__dict__
        return "forward" in own or "backward" in own


#: What a subclass does not inherit.
_OWN = (
    "takes",
    "any_batch_axis",
    "gives",
    "output_is_view",
    "output_may_be_overwritten",
    "overwrites_input",
    "passes_gradient",
    "acts_as",
    "commutes_with",
    "channel_affine",
    "folds_affine",
    "idle",
    "with_activation",
    "affine",
    "folded",
)
