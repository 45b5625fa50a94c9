"""scikit-learn's callbacks, from 1.9 on: what is told of models as they are fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

try:
    from sklearn import callback
except ImportError:  # an older scikit-learn
    callback = None

Method = TypeVar("Method", bound=Callable[..., Any])


class _Unsupported:
    """In the place of scikit-learn's mixin, where it has none."""


CallbackSupport: Any = _Unsupported if callback is None else callback.CallbackSupportMixin


def with_callbacks(method: Method) -> Method:
    """Decorate a method ``fit`` that uses :func:`fit_tasks`: callbacks are put away whatever happens."""
    return method if callback is None else cast(Method, callback.with_callbacks(method))


@dataclass(frozen=True)
class FitTask:
    """One of the models that an object fits.

    Attributes
    ----------
    owner : object
        Whose callbacks are told.
    context : CallbackContext
        Of scikit-learn; None where there is nobody to be told.
    """

    owner: Any = None
    context: Any = None

    @contextmanager
    def around(self, estimator: Any, X: Any, y: Any) -> Iterator[None]:
        """What is done inside is this task; an estimator that knows callbacks, if it is fitted, is told."""
        if self.context is None:
            yield
            return
        with ExitStack() as stack:
            # scikit-learn warns of others, for every one of them; those count as one step each
            if hasattr(estimator, "set_callbacks"):
                stack.enter_context(self.context.propagate_callback_context(estimator))
            self.context.call_on_fit_task_begin(estimator=self.owner, X=X, y=y)
            yield
            self.context.call_on_fit_task_end(estimator=self.owner, X=X, y=y)


@contextmanager
def fit_tasks(owner: Any, names: Sequence[str], X: Any, y: Any) -> Iterator[list[FitTask]]:
    """A task for each of the models that ``owner`` fits inside, side by side or one after another."""
    told = hasattr(owner, "_skl_callbacks") or hasattr(owner, "_parent_callback_ctx")
    if callback is None or not told:
        yield [FitTask()] * len(names)
        return
    root = owner._init_callback_context(max_subtasks=len(names), sequential_subtasks=False)
    root.call_on_fit_task_begin(estimator=owner, X=X, y=y)
    # made here, since the tree of tasks must not grow while a part of it is sent to another process
    contexts = [root.subcontext(task_name=f"fit-{name}", task_id=i) for i, name in enumerate(names)]
    yield [FitTask(owner, context) for context in contexts]
    root.call_on_fit_task_end(estimator=owner, X=X, y=y)
