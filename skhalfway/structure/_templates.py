"""kernel_templates: which depthwise kernels resemble a difference of Gaussians or one of its derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._checks import check_integer, check_random_state, is_number
from skhalfway._intervals import wilson_interval
from skhalfway._readable import is_tensor
from skhalfway._text import counted, short, shown
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table
from skhalfway.structure._chain import check_weights, module_of

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("DoG", "d/dx", "d/dy", "d2/dx2", "d2/dxdy", "d2/dy2")
_ORDERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
# width of the inner Gaussian for a kernel of seven pixels; width and weight of the outer relative to the
# inner
_WIDTHS, _RATIOS, _BALANCES = (0.5, 0.75, 1.0, 1.5, 2.0), (1.6, 2.5), (1.0, 0.5)


@dataclass(frozen=True, eq=False, repr=False)
class KernelTemplates(Result):
    """The most similar template of each depthwise kernel of a network.

    Made by :func:`kernel_templates`; arrays are read-only.

    Parameters
    ----------
    layer : ndarray of str of shape (n_kernels,)
        The layer of each kernel.
    template : ndarray of str of shape (n_kernels,)
        The most similar template.
    cosine : ndarray of shape (n_kernels,)
        Cosine of kernel and template, from -1 to 1. It is negative where all signs
        are reversed, as between an off-centre and an on-centre kernel.
    threshold : float
        Smallest absolute cosine at which a kernel counts as similar.
    noise : ndarray of shape (n_kernels,)
        For each kernel, the share of white-noise kernels of its size that count as similar. A single number
        stands for all kernels.

    See Also
    --------
    KernelTemplatesDisplay : Draws shares of kernels by template.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.structure import KernelTemplates
    >>> KernelTemplates(np.array(["a", "a"]), np.array(["DoG", "d/dx"]), np.array([0.9, -0.3]), 0.8, 0.01)
    KernelTemplates: 2 kernels, share like a template .50, of noise .01
    layer  kernels  share [95 %]   noise
    a      2        .50 [.09 .91]  .01
    """

    layer: NDArray[Any]
    template: NDArray[Any]
    cosine: NDArray[np.float64]
    threshold: float
    noise: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise", np.broadcast_to(self.noise, np.shape(self.cosine)))
        for name in ("layer", "template", "cosine", "noise"):
            array = frozen(getattr(self, name), float if name in ("cosine", "noise") else str)
            if array.shape != (len(self.cosine),):
                raise ValueError(f"{name} must have one value for each kernel, got {array.shape}")
            object.__setattr__(self, name, array)

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Whether each kernel counts as similar to its template."""
        return np.abs(self.cosine) >= self.threshold

    @property
    def share(self) -> float:
        """Share of kernels that count as similar to a template."""
        return float(self.counts.mean())

    @property
    def noise_share(self) -> float:
        """Expected share of similar kernels if all kernels were white noise."""
        return float(self.noise.mean())

    def to_frame(self) -> pd.DataFrame:
        """All figures, with a row for each kernel.

        Returns
        -------
        frame : DataFrame
            Columns layer, template, cosine, counts and noise.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.structure import KernelTemplates
        >>> layer, template = np.array(["a", "a"]), np.array(["DoG", "d/dx"])
        >>> found = KernelTemplates(layer, template, np.array([0.9, -0.3]), 0.8, 0.01)
        >>> found.to_frame()["counts"].tolist()
        [True, False]
        """
        import pandas as pd

        names = ("layer", "template", "cosine", "counts", "noise")
        return pd.DataFrame({name: getattr(self, name) for name in names})

    def _table(self) -> Table:
        rows = []
        for name in dict.fromkeys(self.layer.tolist()):
            own = self.counts[self.layer == name]
            low, high = wilson_interval(own.sum(), len(own))
            share = f"{short(own.mean())} [{short(float(low))} {short(float(high))}]"
            noise = float(self.noise[self.layer == name].mean())
            rows.append([name, str(len(own)), share, short(noise)])
        title = f"KernelTemplates: {counted(len(self.cosine), 'kernel')}, share like a template "
        title += f"{short(self.share)}, of noise {short(self.noise_share)}"
        return Table(title, ["layer", "kernels", "share [95 %]", "noise"], rows)


@recorded
def kernel_templates(
    network: Any, *, threshold: float = 0.8, n_noise: int = 10_000, random_state: Any = None
) -> KernelTemplates:
    """Compare the depthwise kernels of a network with differences of Gaussians and their derivatives.

    In trained depthwise convolutions, most kernels were found to form a few clusters that resemble a
    difference of Gaussians (DoG) or its first and second derivatives [1]_. The authors used an autoencoder,
    whose details are not public to us. Here, similarity is the largest cosine with a bank of such templates
    of several widths [ours]. As a control, the same is measured for white noise.

    Parameters
    ----------
    network : object or array-like of shape (n_kernels, size, size) or (n_kernels, 1, size, size)
        A torch module or skorch classifier with depthwise convolutions, or an array of kernels.
    threshold : float, default=0.8
        Smallest absolute cosine at which a kernel counts as similar to a template.
    n_noise : int, default=10000
        Number of white-noise kernels for each layer.
    random_state : int, RandomState instance or None, default=None
        Source of the noise.

    Returns
    -------
    templates : KernelTemplates
        Template and cosine of each kernel.

    Raises
    ------
    TypeError
        If ``network`` is neither a network nor an array of kernels.
    ValueError
        If there is no depthwise convolution of 3 x 3 or more, or a parameter is invalid.

    Notes
    -----
    Templates are ``exp(-r**2 / 2 s**2) / s**2 - b exp(-r**2 / 2 (q s)**2) / (q s)**2`` and its derivatives,
    at pixels around the middle. For seven pixels, s is from .5 to 2, and it is proportional to the size of
    the kernel; q is 1.6 or 2.5, and b is 1 or .5. The cosine does not depend on the scale of a kernel.
    Kernels of zeros are similar to no template.

    References
    ----------
    .. [1] Babaiee, Kiasari, Rus & Grosu, "Unveiling the unseen: identifiable clusters in
       trained depthwise convolutional kernels", ICLR 2024, arXiv 2401.14469.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.structure import kernel_templates
    >>> x = np.arange(-3, 4)
    >>> blob = np.exp(-(x**2) / 2)
    >>> edge = np.outer(blob, -x * blob)
    >>> found = kernel_templates([edge, -3 * edge], random_state=0)
    >>> found.template.tolist(), found.cosine.round(1).tolist()
    (['d/dx', 'd/dx'], [1.0, -1.0])
    """
    if not is_number(threshold) or not 0 < threshold < 1:
        raise ValueError(f"threshold must be a number between 0 and 1, got {shown(threshold)}")
    check_integer("n_noise", n_noise)
    rng = check_random_state(random_state)
    kernels = _read_kernels(network)
    layers: list[str] = []
    found, cosines, by_noise = [], [], []
    for name, some in kernels.items():
        which, cosine = most_like(some)
        layers += [name] * len(some)
        found.append(which)
        cosines.append(cosine)
        noise = most_like(rng.standard_normal((n_noise, *some.shape[1:])))[1]
        by_noise += [(np.abs(noise) >= threshold).mean()] * len(some)
    template = np.array(NAMES)[np.concatenate(found)]
    return KernelTemplates(
        np.array(layers), template, np.concatenate(cosines), float(threshold), np.array(by_noise)
    )


def bank(size: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Indices of the kinds of templates in a bank, and the templates as unit rows (n, size * size)."""
    place = np.arange(size, dtype=np.float64) - (size - 1) / 2
    which, rows = [], []
    for s in np.array(_WIDTHS) * size / 7:
        for q in _RATIOS:
            for b in _BALANCES:
                for number, order in enumerate(_ORDERS):
                    inner, outer = (_derived(place, width, order) for width in (s, q * s))
                    which.append(number)
                    rows.append((inner - b * outer).ravel())
    templates = np.array(rows)
    return np.array(which), templates / np.linalg.norm(templates, axis=1, keepdims=True)


def _derived(place: NDArray[np.float64], s: float, order: tuple[int, int]) -> NDArray[np.float64]:
    """Derivative of a Gaussian in the plane, of the given orders along x and y; rows are y."""

    def along(times: int) -> NDArray[np.float64]:
        bell = np.exp(-(place**2) / (2 * s**2)) / s
        return bell * (1.0, -place / s**2, place**2 / s**4 - 1 / s**2)[times]

    return np.outer(along(order[1]), along(order[0]))


def most_like(kernels: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each kernel, the template with the largest absolute cosine, and that cosine; 0 for zero kernels."""
    which, templates = bank(kernels.shape[1])
    rows = kernels.reshape(len(kernels), -1)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found, cosine = np.empty(len(rows), dtype=np.intp), np.empty(len(rows))
    for part in blocks(len(rows), len(templates)):
        cosines = np.divide(rows[part], lengths[part], out=np.zeros_like(rows[part]), where=lengths[part] > 0)
        cosines = cosines @ templates.T
        best = np.abs(cosines).argmax(axis=1)
        found[part] = which[best]
        cosine[part] = np.take_along_axis(cosines, best[:, None], axis=1)[:, 0]
    return found, cosine


def _read_kernels(network: Any) -> dict[str, NDArray[np.float64]]:
    if isinstance(network, (np.ndarray, list, tuple)) or is_tensor(network):
        try:
            array = np.asarray(network.detach().cpu() if is_tensor(network) else network, dtype=float)
        except (TypeError, ValueError):
            array = np.zeros(0)
        if array.ndim == 4 and array.shape[1] == 1:  # as a depthwise convolution holds them
            array = array[:, 0]
        if array.ndim != 3 or array.shape[1] != array.shape[2] or array.shape[1] < 3 or not len(array):
            raise ValueError(
                "kernels must have shape (n_kernels, size, size) or (n_kernels, 1, size, size) with a size "
                f"of 3 or more, got {array.shape}"
            )
        check_weights("the array of kernels", array)
        return {"kernels": array}
    from torch import nn

    inner, module = module_of(network)
    found = {
        name or "0": part.weight.detach().cpu().double().numpy()[:, 0]
        for name, part in module.named_modules()
        if isinstance(part, nn.Conv2d)
        and 1 < part.groups == part.in_channels
        and part.kernel_size[0] == part.kernel_size[1] >= 3
    }
    if not found:
        raise ValueError(
            f"{type(inner).__name__} has no depthwise convolution (an nn.Conv2d with a group for each "
            "channel) of 3 x 3 pixels or more; pass a network with some"
        )
    for name, kernels in found.items():
        check_weights(f"layer {name!r} of {type(inner).__name__}", kernels)
    return found
