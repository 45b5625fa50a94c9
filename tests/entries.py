"""Every public way in, with arguments that work: what tests of bad arguments start from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier

from skhalfway import (
    AdversarialGenerator,
    Constraints,
    HalfwayScorer,
    TransferScorer,
    boundaries,
    halfway,
    inspection,
    manifold,
    training,
)
from skhalfway.codes import CodeMap, code_agreement
from skhalfway.datasets import load_images
from skhalfway.models import as_model, to_module
from skhalfway.perturbation import AdversarialSampler, GeometryGenerator, PerturbationLearner, theory

X = np.random.RandomState(0).rand(40, 4)
Y = (X[:, 0] > 0.5).astype(int)
LINEAR = LogisticRegression().fit(X, Y)
TREE = DecisionTreeClassifier(random_state=0).fit(X, Y)
NETWORK = MLPClassifier((4,), solver="lbfgs", tol=1e-1, random_state=0).fit(X, Y)
PERCEPTRON = MLPClassifier((4,), max_iter=4, batch_size=20)
CODES = CodeMap(NETWORK, shape=(2, 2), n_iter=50, random_state=0)
MAPPED = CodeMap(NETWORK, shape=(2, 2), n_iter=50, random_state=0).fit(X)
BRIEF = AdversarialGenerator(max_iter=2, max_queries=20)
FITTED = AdversarialGenerator(LogisticRegression(), max_iter=2).fit(X, Y)
SCORER = TransferScorer(BRIEF).fit([LINEAR, TREE])
HALFWAY = HalfwayScorer(n_pairs=5).fit([LINEAR, TREE])
DIRECTION = np.array([1.0, 0, 0, 0])
PAIR = [("a", LogisticRegression()), ("b", DecisionTreeClassifier())]


class Layers(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.first(x)))


SKORCH = NeuralNetClassifier(
    Layers, criterion=torch.nn.CrossEntropyLoss, max_epochs=1, verbose=0, train_split=None
)


def made(class_: Any, method: str, *args: Any, **fixed: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A call of a method, whose parameters are those of the object."""
    names = [name for name in inspect.signature(class_).parameters if name not in fixed]
    return (
        lambda **params: getattr(class_(**(fixed | params)), method)(*args),
        {name: inspect.signature(class_).parameters[name].default for name in names},
    )


def scorer_of(class_: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    def fit(**params: Any) -> Any:
        scorer = class_(**params)
        return scorer.fit([LINEAR, TREE]) if params["estimators"] is None else scorer.fit(X, Y)

    return fit, {name: p.default for name, p in inspect.signature(class_).parameters.items()}


def call(function: Callable[..., Any], **given: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A call, with all parameters that the function has."""
    parameters = inspect.signature(function).parameters.items()
    defaults = {name: p.default for name, p in parameters if p.default is not p.empty}
    return function, defaults | given


def constrained(**fields: Any) -> Any:
    return AdversarialGenerator(max_iter=2, constraints=Constraints(**fields)).fit(X, Y)


TEST: dict[str, Any] = {"X_test": X, "y_test": Y}
ENTRIES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "AdversarialGenerator": made(AdversarialGenerator, "fit", X, Y),
    "AdversarialGenerator.fit": call(BRIEF.fit, X=X, y=Y),
    "AdversarialGenerator.generate": (FITTED.generate, {"X": X, "y": Y}),
    "AdversarialGenerator.generate target": (lambda target: FITTED.generate(X, target=target), {"target": 1}),
    "AdversarialGenerator.transform": call(FITTED.transform, X=X),
    "Constraints": call(constrained, immutable=(), integer=(), one_hot=(), increasing=(), decreasing=()),
    "TransferScorer": scorer_of(TransferScorer),
    "TransferScorer.fit models": (lambda models: TransferScorer().fit(models), {"models": [LINEAR, TREE]}),
    "TransferScorer.fit": call(TransferScorer(BRIEF, estimators=PAIR).fit, X=X, y=Y),
    "TransferScorer.transfer": call(SCORER.transfer, X=X, y=Y),
    "TransferScorer.transfer_curve": call(SCORER.transfer_curve, X=X, y=Y, eps=[0.1, 0.2]),
    "TransferScorer.robust_accuracy": call(SCORER.robust_accuracy, estimator=LINEAR, X=X, y=Y),
    "HalfwayScorer": scorer_of(HalfwayScorer),
    "HalfwayScorer.measure": call(HALFWAY.measure, X=X, y=Y),
    "HalfwayScorer.predict_transfer": call(HALFWAY.predict_transfer, X=X, y=Y, eps=0.1),
    "as_model": call(as_model, estimator=LINEAR),
    "to_module": call(to_module, estimator=LINEAR),
    "Autoencoder": made(manifold.Autoencoder, "fit", X, max_iter=1),
    "Autoencoder.fit": (manifold.Autoencoder(max_iter=1).fit, {"X": X}),
    "Autoencoder.inverse_transform": call(
        manifold.Autoencoder(max_iter=1).fit(X).inverse_transform, Z=X[:, :2]
    ),
    "OnManifold": call(manifold.OnManifold, manifold=PCA(2).fit(X)),
    "adversarial_directions": call(boundaries.adversarial_directions, estimator=LINEAR, X=X, y=Y),
    "crossings": call(halfway.crossings, estimator=LINEAR, A=X[:20], B=X[20:]),
    "decision_regions": call(boundaries.decision_regions, models=[LINEAR, TREE], X3=X[:3], resolution=4),
    "gradient_alignment": call(boundaries.gradient_alignment, source=LINEAR, target=LINEAR, X=X, y=Y),
    "gradient_size": call(boundaries.gradient_size, estimator=LINEAR, X=X, y=Y),
    "halfway_history": call(training.halfway_history, estimator=PERCEPTRON, X=X, y=Y, n_epochs=1, n_pairs=5),
    "inter_boundary_distance": call(boundaries.inter_boundary_distance, source=LINEAR, target=TREE, X=X, y=Y),
    "legitimate_directions": call(boundaries.legitimate_directions, X=X, y=Y),
    "loss_gradient": call(boundaries.loss_gradient, estimator=LINEAR, X=X, y=Y),
    "loss_variability": call(
        boundaries.loss_variability, estimator=LogisticRegression(), X=X, y=Y, X_train=X, y_train=Y, n_fits=2
    ),
    "manifold_parts": call(manifold.manifold_parts, manifold=PCA(2).fit(X), X=X, perturbation=X),
    "minimum_distance": call(
        boundaries.minimum_distance,
        estimator=LINEAR,
        X=X,
        directions=boundaries.random_directions(X),
        max_distance=1,
    ),
    "random_directions": call(boundaries.random_directions, X=X),
    "reproducibility": call(boundaries.reproducibility, models=[LINEAR, TREE], X=X, n_planes=2, resolution=4),
    "sample_pairs": call(halfway.sample_pairs, X=X, y=Y, n_pairs=5),
    "CodeMap": made(CodeMap, "fit", X, estimator=NETWORK, shape=(2, 2)),
    "CodeMap network": (lambda estimator: CodeMap(estimator).fit(X), {"estimator": NETWORK}),
    "CodeMap.fit": call(CODES.fit, X=X, y=None),
    "CodeMap.transform": (MAPPED.transform, {"X": X}),
    "CodeMap.homogeneity": call(MAPPED.homogeneity, X=X, y=Y, n_bootstrap=2, n_shuffles=1),
    "code_agreement": call(code_agreement, first=MAPPED, second=MAPPED, X=X),
    "AdversarialSampler": made(AdversarialSampler, "fit_resample", X, Y),
    "AdversarialSampler.fit_resample": call(AdversarialSampler(BRIEF).fit_resample, X=X, y=Y),
    "GeometryGenerator": made(GeometryGenerator, "fit", X, Y),
    "GeometryGenerator.fit": call(GeometryGenerator().fit, X=X, y=Y),
    "PerturbationLearner": made(PerturbationLearner, "fit", X, Y, estimator=LogisticRegression()),
    "PerturbationLearner.fit": call(PerturbationLearner(LogisticRegression(), BRIEF).fit, X=X, y=Y),
    "OneHiddenLayerClassifier": made(theory.OneHiddenLayerClassifier, "fit", X, Y),
    "OneHiddenLayerClassifier.fit": call(theory.OneHiddenLayerClassifier(10, max_iter=3).fit, X=X, y=Y),
    "agreement": call(theory.agreement, f=DIRECTION, g=DIRECTION, Z=X),
    "boundary": call(theory.boundary, X=X, y=Y),
    "geometry_perturbation": call(theory.geometry_perturbation, q=DIRECTION, y=[1, -1], eps=0.1),
    "lazy_boundary": call(theory.lazy_boundary, X=X, y=Y, Z=X),
    "lazy_kernel": call(theory.lazy_kernel, X=X, Z=X),
    "learned_boundary": call(theory.learned_boundary, X=X, y=Y, q=DIRECTION, eps=0.1),
    "multipliers": call(theory.multipliers, X=X, y=Y),
    "orthogonality_condition": call(theory.orthogonality_condition, X=X),
    "fooling_inputs": call(inspection.fooling_inputs, estimator=LINEAR, X=X, n_samples=4, max_iter=2),
    "adversarial_spheres": call(
        inspection.adversarial_spheres,
        estimator=PERCEPTRON,
        n_features=3,
        n_train=(10,),
        n_test=9,
        n_repeats=1,
    ),
    "linear_landscape": call(
        inspection.linear_landscape, X=X, y=Y, hidden=(2,), n_starts=1, max_iter=20, random_state=0
    ),
    "loss_path": call(inspection.loss_path, estimator=PERCEPTRON, X=X, y=Y, n_repeats=1, positions=3, **TEST),
    "loss_surface": call(inspection.loss_surface, estimator=NETWORK, X=X, y=Y, n_points=2),
    "saddle_index": call(inspection.saddle_index, estimator=NETWORK, X=X, y=Y),
    "saddle_history": call(
        inspection.saddle_history, estimator=MLPClassifier((2,), batch_size=20), X=X, y=Y, n_epochs=1
    ),
    "sharpness": call(
        inspection.sharpness,
        estimator=PERCEPTRON,
        X=X,
        y=Y,
        batch_sizes=(8,),
        n_directions=1,
        n_repeats=1,
        **TEST,
    ),
    "memorization_curve": call(
        inspection.memorization_curve,
        estimator=TREE,
        X=X,
        y=Y,
        settings=("true labels",),
        n_repeats=1,
        **TEST,
    ),
    "compress": call(inspection.compress, estimator=NETWORK, level=0.5),
    "compression_curve": call(
        inspection.compression_curve, estimator=NETWORK, X=X, y=Y, levels=(0.5,), n_repeats=1, **TEST
    ),
    "distill": call(inspection.distill, teacher=LINEAR, student=SKORCH, X=X, y=Y, n_repeats=1, **TEST),
    "initialization_influence": call(
        inspection.initialization_influence, estimator=PERCEPTRON, X=X, y=Y, n_repeats=1, **TEST
    ),
    "feature_transfer": call(
        inspection.feature_transfer, estimator=SKORCH, X_a=X, y_a=Y, X_b=X, y_b=Y, n_repeats=1, **TEST
    ),
    "forgetting_curve": call(
        inspection.forgetting_curve, estimator=PERCEPTRON, tasks=[(X, Y, X, Y)] * 2, n_epochs=1, n_repeats=1
    ),
    "load_images": call(load_images, name="digits"),
}
