"""Recipe: a gradient attack made of pieces."""

from __future__ import annotations

import ast
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._checks import meant
from skhalfway._text import in_full, shown
from skhalfway.attacks._layers import wired
from skhalfway.attacks._of_ensembles import check_layers
from skhalfway.attacks._pieces import PIECES, Piece, as_image, has

if TYPE_CHECKING:
    from skhalfway.models import Model


@dataclass(frozen=True, init=False, repr=False)
class Recipe:
    """A gradient attack made of pieces, each of which changes one part of the loop of projected steps.

    Pieces are of five kinds:

    - *step*: the direction of a step, given all gradients so far, and its length in each feature;
    - *gradient*: where gradients are computed (at other points too), and how they are averaged;
    - *input*: what the model sees in place of a sample;
    - *loss*: what is raised;
    - *model*: how gradients pass backwards through the source.

    Without any piece, it is the iterative method of Kurakin et al. (2017). A recipe is immutable, is compared
    and hashed by value, and can be searched: ``generator__attack__momentum__decay=[0.5, 1.0]``,
    ``generator__attack__momentum=[None, Momentum()]``.

    Parameters
    ----------
    *pieces : Piece
        Instances of the pieces that :func:`list_pieces` lists, each at most once. A recipe has at most one
        loss, one piece with a momentum, one with a stride, and one that compares gradients around the sample.
        Pieces of the kind "input" are applied in the order in which they are given. A piece of the kind
        "gradient" gets its gradients from the next one of that kind. Without a loss, it is cross-entropy.
    image_shape : tuple of (channels, height, width), default=None
        Shape of images that are given as flat rows, for pieces that need images.
    reach : float, default=1.0
        Sum of the lengths of all steps, as a multiple of the budget, if the generator has no ``step_size``.

    See Also
    --------
    list_attacks : Names of recipes, which ``attack=`` takes as well, such as ``"vmi-di-ti"``.
    list_pieces : All pieces, with their kinds and papers.
    skhalfway.AdversarialGenerator : Takes this as ``attack=``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway import AdversarialGenerator
    >>> from skhalfway.attacks import Nesterov, Recipe, Variance
    >>> X, y = load_iris(return_X_y=True)
    >>> recipe = Recipe(Nesterov(), Variance(n=5))
    >>> recipe
    Recipe(Nesterov(decay=1.0), Variance(n=5, radius=1.5))
    >>> generator = AdversarialGenerator(
    ...     LogisticRegression(max_iter=1000), attack=recipe, eps=0.5, random_state=0
    ... ).fit(X, y)
    >>> round(generator.estimator_.score(generator.transform(X), y), 2)
    0.56
    >>> generator.set_params(attack__variance=None).attack
    Recipe(Nesterov(decay=1.0))
    """

    pieces: tuple[Piece, ...]
    image_shape: tuple[int, ...] | None
    reach: float

    def __init__(
        self, *pieces: Piece, image_shape: tuple[int, ...] | None = None, reach: float = 1.0
    ) -> None:
        for piece in pieces:
            if not isinstance(piece, Piece):
                known = [cls.__name__ for cls in PIECES.values()]
                raise TypeError(
                    f"pieces must be instances of {', '.join(known)}; got {shown(piece)}"
                    f"{meant(getattr(piece, '__name__', piece), known)}"
                )
        names = [type(piece).__name__ for piece in pieces]
        if len(set(names)) < len(names):
            raise ValueError(f"each piece may be there once, got {', '.join(names)}; leave out the others")
        alike = {
            "loss": [piece for piece in pieces if piece.kind == "loss"],
            "momentum": [piece for piece in pieces if has(piece, "direction")],
            "stride": [piece for piece in pieces if has(piece, "stride")],
        }
        for what, found in alike.items():
            if len(found) > 1:
                named = " and ".join(type(piece).__name__ for piece in found)
                raise ValueError(f"a recipe has one {what} at most, got {named}")
        around = [type(piece).__name__ for piece in pieces if piece.outermost]
        if len(around) > 1:
            raise ValueError(
                f"{' and '.join(around)} compare gradients around the same sample; a recipe may have one of "
                "these at most"
            )
        if image_shape is not None:
            whole = isinstance(image_shape, (tuple, list)) and len(image_shape) == 3
            if not whole or not all(isinstance(n, Integral) and n > 0 for n in image_shape):
                raise ValueError(
                    f"image_shape must be (channels, height, width), or None, got {shown(image_shape)}"
                )
            image_shape = tuple(int(n) for n in image_shape)
        if (
            isinstance(reach, bool)
            or not isinstance(reach, (int, float, np.number))
            or not 0 < reach < np.inf
        ):
            raise ValueError(f"reach must be a finite number > 0, got {shown(reach)}")
        object.__setattr__(self, "pieces", tuple(pieces))
        object.__setattr__(self, "image_shape", image_shape)
        object.__setattr__(self, "reach", float(reach))

    def __repr__(self) -> str:
        shape = [] if self.image_shape is None else [f"image_shape={self.image_shape}"]
        reach = [] if self.reach == 1 else [f"reach={in_full(self.reach)}"]
        return f"Recipe({', '.join([*map(str, self.pieces), *shape, *reach])})"

    def __sklearn_clone__(self) -> Recipe:
        return self

    def as_setting(self) -> str:
        """Text for the settings of results that were made with this recipe.

        Returns
        -------
        text : str
            The pieces, as code; :meth:`from_text` reads it.

        Examples
        --------
        >>> from skhalfway.attacks import Momentum, Recipe
        >>> Recipe(Momentum()).as_setting()
        'Recipe(Momentum(decay=1.0))'
        """
        return repr(self)

    @classmethod
    def from_text(cls, text: str) -> Recipe:
        """Make a recipe from the text in the settings of a result, without running it as code.

        Parameters
        ----------
        text : str
            What :meth:`as_setting` returned, or ``repr`` of a recipe. Pieces of your own must be defined
            before; they are found by the name of their class.

        Returns
        -------
        recipe : Recipe
            A recipe that equals the one that was written.

        Raises
        ------
        ValueError
            If the text is no recipe, or names a piece that is not there.

        Examples
        --------
        >>> from skhalfway.attacks import Momentum, Recipe
        >>> Recipe.from_text("Recipe(Momentum(decay=0.5), reach=2)") == Recipe(Momentum(decay=0.5), reach=2.0)
        True
        """
        known = {piece.__name__: piece for piece in PIECES.values()}

        def called(call: ast.expr) -> tuple[str, dict[str, Any]]:
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                raise ValueError(f"it has {ast.unparse(call)!r} where a piece is due")
            values = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
            return call.func.id, values

        try:
            whole = ast.parse(str(text).strip(), mode="eval").body
            name, others = called(whole)
            if name != "Recipe":
                raise ValueError(f"it begins with {name!r}")
            pieces = [called(part) for part in whole.args]  # type: ignore[attr-defined]
        except (SyntaxError, ValueError) as error:
            raise ValueError(
                f"text must be a recipe as Recipe.as_setting writes it, got {shown(text)}: {error}"
            ) from error
        for name, _ in pieces:
            if name not in known:
                raise ValueError(
                    f"there is no piece {name!r}{meant(name, known)}; if it is of your own, define it first"
                )
        return cls(*(known[name](**values) for name, values in pieces), **others)

    def of(self, kind: str) -> tuple[Piece, ...]:
        """Pieces of one kind.

        Parameters
        ----------
        kind : {"step", "gradient", "input", "loss", "model"}
            Kind of the pieces.

        Returns
        -------
        pieces : tuple of Piece
            Pieces of that kind, in their order.

        Examples
        --------
        >>> from skhalfway.attacks import Logit, Momentum, Recipe
        >>> Recipe(Momentum(), Logit()).of("loss")
        (Logit(),)
        """
        return tuple(piece for piece in self.pieces if piece.kind == kind)

    def check_source(self, model: Model, shape: tuple[int, ...]) -> None:
        """Raise for a source, or a shape of samples, that the pieces cannot work with.

        Parameters
        ----------
        model : Model
            The source, as :func:`~skhalfway.models.as_model` returns it.
        shape : tuple of int
            Shape of a sample.

        Raises
        ------
        TypeError
            If a piece is for ensembles and the source is none.
        ValueError
            If a piece needs images, layers, residual branches or classes that are not there.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skhalfway.attacks import Recipe, Translation
        >>> from skhalfway.models import as_model
        >>> X, y = load_iris(return_X_y=True)
        >>> source = as_model(LogisticRegression(max_iter=1000).fit(X, y))
        >>> Recipe(Translation()).check_source(source, X.shape[1:])
        Traceback (most recent call last):
            ...
        ValueError: 'translation' is for images, and samples have shape (4,); give
        the shape of an image, as Recipe(..., image_shape=(channels, height, width)), or leave the piece out
        """
        for piece in self.pieces:
            piece.check_source(model)
            if piece.needs_images:
                as_image(piece, shape, self.image_shape)
        wiring = [type(piece).__name__ for piece in self.pieces if has(piece, "wire")]
        if wiring:
            check_layers(model, wiring)
        with wired(model, self.pieces, None)[1]:
            pass

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get pieces and their parameters, so that scikit-learn's searches can name them.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of pieces, such as ``momentum__decay``.

        Returns
        -------
        params : dict
            Values by name.

        Examples
        --------
        >>> from skhalfway.attacks import Momentum, Recipe
        >>> Recipe(Momentum(decay=0.9)).get_params()["momentum__decay"]
        0.9
        """
        params: dict[str, Any] = {"image_shape": self.image_shape, "reach": self.reach}
        for piece in self.pieces:
            params[piece.name] = piece
            if deep:
                params |= {f"{piece.name}__{f.name}": getattr(piece, f.name) for f in fields(piece)}
        return params

    def replaced(self, **params: Any) -> Recipe:
        """Make a recipe with pieces, or their parameters, changed; this object stays as it is.

        Parameters
        ----------
        **params : dict
            ``image_shape`` or ``reach``; a piece by its name, as ``momentum=Momentum(0.5)``, or None to leave
            it out; a parameter of a piece, as ``momentum__decay=0.5``.

        Returns
        -------
        recipe : Recipe
            A new recipe. Pieces that were not in this one come last.

        Raises
        ------
        ValueError
            If there is no such piece or parameter.

        Examples
        --------
        >>> from skhalfway.attacks import Momentum, Recipe
        >>> Recipe(Momentum()).replaced(momentum__decay=0.5, reach=2.0)
        Recipe(Momentum(decay=0.5), reach=2)
        """
        pieces = {piece.name: piece for piece in self.pieces}
        rest = {name: params.pop(name) for name in ("image_shape", "reach") if name in params}
        for name, value in sorted(params.items(), key=lambda item: "__" in item[0]):
            which, _, parameter = name.partition("__")
            if which not in PIECES:
                known = [*PIECES, "image_shape", "reach"]
                raise ValueError(f"a Recipe has no {shown(which)}; it has {known}{meant(which, known)}")
            if not parameter:
                if isinstance(value, Piece) and value.kind != PIECES[which].kind:
                    raise ValueError(
                        f"{which} must be a piece of the kind {PIECES[which].kind!r} or None; got {value}, "
                        f"which is of the kind {value.kind!r}"
                    )
                pieces.pop(which, None) if value is None else pieces.update({which: value})
                continue
            piece = pieces.get(which) or PIECES[which]()
            if parameter not in [f.name for f in fields(piece)]:
                raise ValueError(
                    f"{type(piece).__name__} has no {shown(parameter)}; it has "
                    f"{[f.name for f in fields(piece)]}"
                )
            pieces[which] = replace(piece, **{parameter: value})
        settings = {"image_shape": self.image_shape, "reach": self.reach, **rest}
        return Recipe(*pieces.values(), **settings)
