"""What is said of a model whose figures may mislead."""


class ModelWarning(UserWarning):
    """A model behaves so that figures about it may mislead; the message names it and says what to do.

    Examples
    --------
    Turned into an error, for a script that must not go on with a doubtful model:

    >>> import warnings
    >>> from skhalfway.models import ModelWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ModelWarning)
    """
