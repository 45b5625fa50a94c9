# %% claims
rates, shares = matrix.to_frame("rates"), same
assert min(model.score(X_test, y_test) for model in models.values()) > 0.955
assert rates.sum().sub(np.diag(rates)).idxmin() == "5-nn"
assert rates["5-nn"].drop("5-nn").max() < 0.2
assert abs(rates.loc["mlp", "mlp 2"] - 0.9) < 0.03
assert abs(rates.loc["mlp 2", "mlp"] - 0.9) < 0.03
assert abs(rates.loc["mlp", "mlp"] - 0.95) < 0.02
assert abs(rates.loc["mlp", "forest"] - 0.43) < 0.04
assert abs(rates.loc["forest", "mlp"] - 0.33) < 0.04
assert abs(rates.loc["logistic", "rbf svm"] - 0.31) < 0.03
assert abs(rates.loc["rbf svm", "logistic"] - 0.57) < 0.03
as_targets = rates.drop(["logistic", "rbf svm"])
assert (as_targets["rbf svm"] < as_targets["logistic"]).sum() == 5
rate_of = {
    condition: TransferMatrix.of(outcomes, condition).to_frame("rates")["rbf svm"]
    for condition in conditions
}
assert rate_of["all"].idxmin() == rate_of["both_correct"].idxmin() == "5-nn"
assert rate_of["source_fooled"].idxmax() == "5-nn"
successful = TransferMatrix.of(outcomes, "source_fooled").to_frame()
assert (
    successful.loc[("5-nn", "rbf svm"), "low"]
    > successful.loc[("mlp 2", "rbf svm"), "high"]
)
assert abs(successful.loc[("5-nn", "rbf svm"), "eligible"] - 110) < 8
assert np.sort(noise)[-2] < 0.1
assert abs(noise[names.index("scaled mlp")] - 0.76) < 0.03
assert abs(others[names.index("scaled mlp")] - 0.83) < 0.03
assert min(shares.loc["mlp", "mlp 2"], shares.loc["mlp 2", "mlp"]) > 0.97
assert shares["scaled mlp"].drop("scaled mlp").max() < 0.4

# %% 1
# The images count that both models classify correctly; among them, those fool the
# target that it classifies wrongly after the attack on the source. The cell is the
# same.
from sklearn.frozen import FrozenEstimator

source, target = models["logistic"], models["mlp"]
attack = AdversarialGenerator(FrozenEstimator(source), eps=0.15, clip_values=(0, 1))
X_adv = attack.generate(X_test, y_test)
both = (source.predict(X_test) == y_test) & (target.predict(X_test) == y_test)
fooled = both & (target.predict(X_adv) != y_test)
print(f"{fooled.sum()} of {both.sum()} images, {fooled.sum() / both.sum():.2f}")
cell = matrix.to_frame().loc[("logistic", "mlp")]
assert (fooled.sum(), both.sum()) == (cell["fooled"], cell["eligible"])

# %% 2
# It is made for the class more than for the image. The change of another image of the
# same class fools the network on two thirds of the images, that of another class on 9
# %, where noise has 3 %. So much of the change is the same for all images of a class.
from sklearn.frozen import FrozenEstimator

mlp = models["mlp"]
attack = AdversarialGenerator(FrozenEstimator(mlp), eps=0.15, clip_values=(0, 1))
changes = attack.generate(X_test, y_test) - X_test
rng, everyone = np.random.RandomState(0), np.arange(len(y_test))
count = mlp.predict(X_test) == y_test


def share_fooled(partners):
    moved = np.clip(X_test + changes[partners], 0, 1)
    return (mlp.predict(moved) != y_test)[count].mean()


same_class, other_class = [], []
for i in everyone:
    of_same = (y_test == y_test[i]) & (everyone != i)
    same_class.append(rng.choice(everyone[of_same]))
    other_class.append(rng.choice(everyone[y_test != y_test[i]]))
own = share_fooled(everyone)
print(
    f"own change {own:.2f}, of the same class {share_fooled(same_class):.2f}, ", end=""
)
print(f"of another class {share_fooled(other_class):.2f}")
assert 0.5 < share_fooled(same_class) < 0.8 < own
assert share_fooled(other_class) < 0.15

# %% 3
# The images made on all three fool the support vector machine a little more often than
# those made on the best of them, 37 % against 34 %; a paired test calls that a tie. The
# gain for the attacker is another one: nobody needs to know which source is best.
from skhalfway import Ensemble

members = ["logistic", "mlp", "5-nn"]
together = Ensemble([(name, models[name]) for name in members])
attackers = TransferScorer(
    generator, sources=[*members, "together"], targets=["rbf svm"], random_state=0
)
row = attackers.fit(models | {"together": together}).transfer(X_test, y_test)
print(row)
print(row.describe())
found = row.to_frame("rates")["rbf svm"]
assert found["together"] > found[members].mean() + 0.03
assert found["together"] > found[members].max() - 0.03
assert "(37%), a tie with mlp" in row.describe()
