# %% claims
solutions = path.barriers["loss between solutions"]
assert (path.rises["loss from initialisation"] == 0).all() and (solutions > 0.1).all()
assert np.abs(difference).max() < 1e-5
assert barrier >= solutions.mean()

apart, alike = same_epochs, same_updates
assert apart.means["curvature"][1] > apart.means["curvature"][0] + 0.5
assert apart.means["rise"][1] < apart.means["rise"][0] - 0.1
assert apart.means["loss"][1] > 10 * apart.means["loss"][0]
assert abs(alike.means["loss"][1] - alike.means["loss"][0]) < 0.02
curvature_gap = np.diff(alike.means["curvature"])[0]
assert 0 < curvature_gap < np.diff(apart.means["curvature"])[0]
rise = alike.confidence_interval(of="rise")
assert rise.low[1] < rise.high[0]

assert np.allclose(small.predict_proba(X_test), scaled.predict_proba(X_test), atol=1e-5)
assert curvatures[0].round() == 4 and abs(curvatures[1] - 190) < 10
assert np.allclose(surfaces[0].loss, surfaces[1].loss, rtol=1e-3, atol=1e-5)


def cost(title, level):
    curve = curves[title]
    by_level = dict(zip(curve.x.tolist(), curve.means["accuracy"], strict=True))
    return by_level[1 if "pruned" in title else 6] - by_level[level]


assert cost("pruned", 0.5) < 0.02
assert cost("pruned, then three epochs more", 0.2) < 0.02
assert cost("quantised", 2) < 0.02
assert max(recognised["labels"]) == 0 and max(recognised["temperature 1"]) < 0.1
assert np.mean(recognised["temperature 4"]) > 0.5

# %% 1
# Nearly nothing is left of it: the barriers of .24 to .27 fall to .02 or .03, about a
# tenth. Most of the barrier between two solutions came from the order of their units.
from scipy.optimize import linear_sum_assignment


def units(network):
    ingoing = [network.coefs_[0].T, network.intercepts_[0][:, None], network.coefs_[1]]
    return np.hstack(ingoing)


for seed in range(3):
    first = clone(network).set_params(random_state=10 + seed).fit(X_train, y_train)
    second = clone(network).set_params(random_state=20 + seed).fit(X_train, y_train)
    order = linear_sum_assignment(-units(first) @ units(second).T)[1]
    heights = []
    for other in (second, reorder(second, order)):
        line = loss_path((first, other), X_train, y_train)
        heights.append(line.barriers["loss between solutions"][0])
    print(f"barrier {heights[0]:.2f}, after matching {heights[1]:.2f}")
    assert heights[1] < heights[0] / 5

# %% 2
# It matters a lot. With half of the weights kept, pruning costs nothing, and random
# removal leaves an accuracy of .37 to .87. With three tenths kept, pruning still leaves
# .89, and random removal .10 to .64.
from skhalfway.inspection import compress

before = fitted.score(X_test, y_test)
for kept in (0.5, 0.3):
    pruned = compress(fitted, kept).score(X_test, y_test)
    random_scores = []
    for seed in range(5):
        at_random = deepcopy(fitted)
        rng = np.random.RandomState(seed)
        at_random.coefs_ = [w * (rng.rand(*w.shape) < kept) for w in fitted.coefs_]
        random_scores.append(at_random.score(X_test, y_test))
    print(f"{kept:.0%} kept: pruned {pruned:.2f}")
    print(f"at random: {np.round(random_scores, 2)}")
    assert pruned > max(random_scores) + 0.1
    assert np.mean(random_scores) < 0.8 * pruned

# %% 3
# Yes. The teacher's hard labels contain no 3 at all, or hardly any, and the students
# never predict one. At a temperature of 10 they recognise 78 to 81 % of the threes,
# even more than at 4.
again = {}
for name, how in {"hard": {"targets": "hard"}, "10": {"temperature": 10}}.items():
    result = distill(fitted, student, **data, **how, n_repeats=3, random_state=0)
    again[name] = [(one.predict(threes) == 3).mean() for one in result.students]
    print(name, np.round(again[name], 2))
assert max(again["hard"]) < 0.05
assert np.mean(again["10"]) > np.mean(recognised["temperature 4"])
