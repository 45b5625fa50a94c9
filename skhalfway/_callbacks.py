"""Callbacks of scikit-learn 1.9 and later, which follow the fitting of models."""

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
    """Replaces scikit-learn's mixin in versions without callbacks."""


CallbackSupport: Any = _Unsupported if callback is None else callback.CallbackSupportMixin


def with_callbacks(method: Method) -> Method:
    """Decorate a method ``fit`` that uses :func:`fit_tasks`, so that callbacks always end properly."""
    return method if callback is None else cast(Method, callback.with_callbacks(method))


@dataclass(frozen=True)
class FitTask:
    """One of the models that an object fits.

    Attributes
    ----------
    owner : object
        Object whose callbacks are called.
    context : CallbackContext
        Context of scikit-learn; None without callbacks.
    """

    owner: Any = None
    context: Any = None

    @contextmanager
    def around(self, estimator: Any, X: Any, y: Any) -> Iterator[None]:
        """Run the block as this task; an estimator that supports callbacks takes part."""
        if self.context is None:
            yield
            return
        with ExitStack() as stack:
            # for estimators without callbacks scikit-learn would warn; each of them counts as one step
            if hasattr(estimator, "set_callbacks"):
                stack.enter_context(self.context.propagate_callback_context(estimator))
            self.context.call_on_fit_task_begin(estimator=self.owner, X=X, y=y)
            yield
            self.context.call_on_fit_task_end(estimator=self.owner, X=X, y=y)


@contextmanager
def fit_tasks(owner: Any, names: Sequence[str], X: Any, y: Any) -> Iterator[list[FitTask]]:
    """Tasks for the models that ``owner`` fits in the block, one for each, in parallel or in sequence."""
    told = hasattr(owner, "_skl_callbacks") or hasattr(owner, "_parent_callback_ctx")
    if callback is None or not told:
        yield [FitTask()] * len(names)
        return
    root = owner._init_callback_context(max_subtasks=len(names), sequential_subtasks=False)
    root.call_on_fit_task_begin(estimator=owner, X=X, y=y)
    # created here, since the tree of tasks must not grow while a part of it is sent to another process
    contexts = [root.subcontext(task_name=f"fit-{name}", task_id=i) for i, name in enumerate(names)]
    yield [FitTask(owner, context) for context in contexts]
    root.call_on_fit_task_end(estimator=owner, X=X, y=y)
