"""Which attacks made to transfer do: pieces of recipes against the plain iteration, at equal gradient calls.

    python benchmarks/transfer_attacks.py

measures what is not yet in transfer_attacks.json, (data set, seed) by (data set, seed), and writes
transfer_attacks.md and transfer_attacks.svg; `--device cuda` takes gradients of images on a GPU, `--jobs`
does several at once. `animals` needs the package animal_mnist: `pip install --no-deps animal_mnist`.

What was fixed before the first run (of the seeds below; seed 99 was looked at to choose budgets):

- Data, designs, budgets: designs.py. Seeds: 0 to 4. Test samples: 120, of which those count that source and
  target both classify correctly.
- Every attack has 60 gradient calls for each sample (`CALLS`), those for copies included, in as many steps
  as that allows; steps add up to the budget. "plain" is the iterative method of Kurakin et al., 60 steps.
- Effect of a recipe: its mean transfer rate over ordered pairs source != target less that of "plain" on the
  same pairs, by block (data set, seed). Test: Wilcoxon's signed ranks over blocks, two-sided, Holm over all
  recipes.
- Claims of the literature, for images: (1) momentum helps; (2) variance tuning helps more than momentum; (3)
  input transformations (DI, SI, admix, BSR, SIA, SSA) help more than gradient pieces; (4) feature losses
  help; (5) SGM, LinBP and ghost networks help. Our own expectation: on small images and on tables, less of it
  holds.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from designs import DATA, Data, designs, trained
from joblib import delayed
from resumed import resumed
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator
from skhalfway.attacks import (
    AdaBelief,
    Admix,
    Averaged,
    BatchStatistics,
    BlockShuffle,
    Cutout,
    DirectionTuning,
    DiverseEnsemble,
    DiverseInput,
    EnhancedMomentum,
    FeatureDropout,
    FeatureImportance,
    FlatMaxima,
    Ghost,
    GlobalMomentum,
    GradientPenalty,
    ImprovedEuler,
    IntegratedGradient,
    IntermediateDecay,
    IntermediateLevel,
    Jitter,
    LinearBackward,
    Logit,
    Margin,
    MaskedBlocks,
    MixedRows,
    MixMask,
    Momentum,
    Nesterov,
    NeuronAttribution,
    Normalised,
    OwnProbability,
    PatchWise,
    ProbabilityMargin,
    RandomCrop,
    Recipe,
    Relevance,
    Rescaled,
    ReverseNoise,
    ScaleCopies,
    SkipGradient,
    SmoothBackward,
    Spectrum,
    Staircase,
    StructureInvariant,
    TanhAdam,
    Translation,
    UniformScale,
    Variance,
)
from skhalfway.models import as_model

CALLS, SEEDS, STEPS_OF_TRAINING = 60, range(5), 400
HERE = Path(__file__).parent
RESULTS = HERE / "transfer_attacks.json"

_MI = Momentum()
# name: recipe, steps (all of CALLS but for what is spent at once), kind
RECIPES: dict[str, tuple[Recipe, int, str]] = {
    "plain": (Recipe(), 60, "reference"),
    "plain, 10 calls": (Recipe(), 10, "reference"),
    "pgd": (Recipe(reach=2.5), 60, "reference"),
    "mi": (Recipe(_MI), 60, "step"),
    "mi, 10 calls": (Recipe(_MI), 10, "step"),
    "ni": (Recipe(Nesterov()), 60, "step"),
    "emi": (Recipe(EnhancedMomentum(n=5)), 12, "step"),
    "gi": (Recipe(GlobalMomentum()), 55, "step"),
    "adabelief": (Recipe(AdaBelief()), 60, "step"),
    "aifgtm": (Recipe(TanhAdam()), 60, "step"),
    "staircase": (Recipe(_MI, Staircase()), 60, "step"),
    "normalised": (Recipe(_MI, Normalised()), 60, "step"),
    "fgrm": (Recipe(_MI, Rescaled()), 60, "step"),
    "pi": (Recipe(PatchWise()), 60, "step"),
    "vmi": (Recipe(_MI, Variance(n=5)), 10, "gradient"),
    "vni": (Recipe(Nesterov(), Variance(n=5)), 10, "gradient"),
    "av": (Recipe(_MI, Averaged(n=6)), 10, "gradient"),
    "gra": (Recipe(_MI, Relevance(n=5)), 10, "gradient"),
    "pgn": (Recipe(_MI, FlatMaxima(n=3)), 10, "gradient"),
    "gnp": (Recipe(_MI, GradientPenalty(), Margin()), 30, "gradient"),
    "ie": (Recipe(_MI, ImprovedEuler()), 30, "gradient"),
    "dta": (Recipe(_MI, DirectionTuning(n=6)), 10, "gradient"),
    "rap": (Recipe(_MI, ReverseNoise(n=4, begin=0.0)), 12, "gradient"),
    "ti": (Recipe(_MI, Translation(size=5)), 60, "gradient"),
    "mig": (Recipe(_MI, IntegratedGradient(n=6), OwnProbability()), 10, "input"),
    "di": (Recipe(_MI, DiverseInput(least=0.8)), 60, "input"),
    "di-ti": (Recipe(_MI, DiverseInput(least=0.8), Translation(size=5)), 60, "input"),
    "si": (Recipe(_MI, ScaleCopies(n=5)), 12, "input"),
    "dem": (Recipe(_MI, DiverseEnsemble(n=5)), 12, "input"),
    "admix": (Recipe(_MI, Admix(n=3), ScaleCopies(n=2)), 10, "input"),
    "usmm": (Recipe(_MI, UniformScale(n=3), MixMask(n=2)), 10, "input"),
    "maskblock": (Recipe(_MI, MaskedBlocks(blocks=2)), 15, "input"),
    "bsr": (Recipe(_MI, BlockShuffle(n=6)), 10, "input"),
    "sia": (Recipe(_MI, StructureInvariant(n=6)), 10, "input"),
    "ssa": (Recipe(_MI, Spectrum(n=6)), 10, "input"),
    "crop": (Recipe(_MI, RandomCrop()), 60, "input"),
    "cutout": (Recipe(_MI, Cutout()), 60, "input"),
    "feature dropout": (Recipe(_MI, FeatureDropout()), 60, "input"),
    "jitter": (Recipe(_MI, Jitter(n=5)), 12, "input"),
    "mixed rows": (Recipe(_MI, MixedRows(n=3)), 20, "input"),
    "margin": (Recipe(_MI, Margin()), 60, "loss"),
    "logit": (Recipe(_MI, Logit()), 60, "loss"),
    "probability margin": (Recipe(_MI, ProbabilityMargin()), 60, "loss"),
    "ila": (Recipe(IntermediateLevel()), 60, "loss"),
    "fia": (Recipe(_MI, FeatureImportance(n=30)), 30, "loss"),
    "naa": (Recipe(_MI, NeuronAttribution(n=30)), 30, "loss"),
    "sgm": (Recipe(_MI, SkipGradient()), 60, "model"),
    "linbp": (Recipe(LinearBackward()), 60, "model"),
    "bpa": (Recipe(_MI, SmoothBackward()), 60, "model"),
    "ghost": (Recipe(_MI, Ghost()), 60, "model"),
    "bn": (Recipe(_MI, BatchStatistics()), 60, "model"),
    "ilpd": (Recipe(_MI, IntermediateDecay()), 60, "model"),
    "vmi-di-ti": (
        Recipe(_MI, Variance(n=5), DiverseInput(least=0.8), Translation(size=5)),
        10,
        "gradient and input",
    ),
    "bsr-sgm": (Recipe(_MI, BlockShuffle(n=6), SkipGradient()), 10, "input and model"),
}
CLASSICAL = ("logistic", "svm")  # with a gradient, so sources too


def models(data: Data, seed: int, device: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sources and targets, trained."""
    sources: dict[str, Any] = {}
    for number, (name, make) in enumerate(designs(data).items()):
        torch.manual_seed(1000 * seed + number)
        net = trained(make().to(device), data, 1000 * seed + number, STEPS_OF_TRAINING)
        sources[name] = as_model(net, classes=np.unique(data.y_train))
    X = data.X_train.reshape(len(data.X_train), -1)
    some = slice(1000)
    classical = {
        "logistic": LogisticRegression(max_iter=300).fit(X, data.y_train),
        "svm": SVC().fit(X[some], data.y_train[some]),
        "forest": RandomForestClassifier(100, random_state=seed).fit(X, data.y_train),
        "neighbours": KNeighborsClassifier().fit(X, data.y_train),
    }
    fitted = {name: as_model(each) for name, each in classical.items()}
    return sources | {name: fitted[name] for name in CLASSICAL}, sources | fitted


def fits(recipe: Recipe, data: Data, source: Any) -> bool:
    """Whether a recipe can be used: on images, or with layers that the source has."""
    try:
        recipe.check_source(source, data.X_test.shape[1:])
    except ValueError:
        return False
    return True


def block(name: str, seed: int, device: str, recipes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Counts of a data set and a seed: by source, target and recipe."""
    torch.set_num_threads(1)
    begin, data = time.time(), DATA[name](seed)
    sources, targets = models(data, seed, device)
    right = {target: model.predict(data.X_test) == data.y_test for target, model in targets.items()}
    found: dict[str, Any] = {
        "data": name,
        "seed": seed,
        "device": device,
        "accuracy": {target: round(float(each.mean()), 4) for target, each in right.items()},
        "n": {},
        "fooled": {},
    }
    for source, model in sources.items():
        count = {target: right[source] & right[target] for target in targets if target != source}
        found["n"][source] = {target: int(each.sum()) for target, each in count.items()}
        found["fooled"][source] = {}
        for label, (recipe, n_steps, _) in (recipes or RECIPES).items():
            if not fits(recipe, data, model):
                continue
            generator = AdversarialGenerator(
                model,
                attack=recipe,
                eps=data.eps,
                max_iter=n_steps,
                clip_values=data.clip_values,
                batch_size=N_AT_ONCE,
                random_state=seed,
                device=device,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of gradients of 0, say: what comes of it is counted
                X_adv = generator.generate(data.X_test, data.y_test)
            fooled = {target: targets[target].predict(X_adv) != data.y_test for target in targets}
            found["fooled"][source][label] = {
                target: int((fooled[target] & each).sum()) for target, each in count.items()
            } | {"itself": int((fooled[source] & right[source]).sum())}
    return found | {"seconds": round(time.time() - begin)}


N_AT_ONCE = 1500  # copies of samples for which gradients are taken at once


def measured(
    names: list[str], seeds: list[int], device: str, n_jobs: int, path: Path
) -> list[dict[str, Any]]:
    """All blocks; those that the file has are not measured again."""
    # gradients of tables cost less than the way to a GPU
    tasks = {
        (name, seed): delayed(block)(name, seed, device if name in ("animals", "patches") else "cpu")
        for seed in seeds
        for name in sorted(names, key=lambda name: name != "animals")
    }
    return resumed(tasks, ("data", "seed"), path, n_jobs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="*", default=list(DATA), choices=list(DATA))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--device", default="cpu", help="for gradients of images")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    blocks = measured(options.data, options.seeds, options.device, options.jobs, options.results)
    if options.results == RESULTS:
        from transfer_attacks_page import write

        write(blocks, HERE)


if __name__ == "__main__":
    main()
