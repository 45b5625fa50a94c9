# %% claims
assert abs(coverage["naive"][0] - 0.63) < 0.01
assert 0.915 < coverage["wilson"].min() and coverage["wilson"].max() < 0.975
assert len(y_test) == 1197
ends = [found.confidence_interval() for found in (one_step, many_steps)]
assert ends[0].high[0, 0] > ends[1].low[0, 0] + 0.01
only_one, only_many = comparison.only_first[0, 0], comparison.only_other[0, 0]
assert abs(only_one - 3) <= 2 and abs(only_many - 22) <= 4
assert comparison.significant.all()
assert len(p_values) == 45 and 8 <= np.sum(p_values < 0.05) <= 18
assert test.pvalue < 0.01 and abs(wide.mean() - narrow.mean() - 0.02) < 0.006
assert 0.03 < reversed_order < 0.2

# %% 1
# Rates up to 7 % are compatible with 0 of 50. The upper end of Wilson's interval falls
# below 1 % with 381 images: "never fooled" needs many images before it says much.
low, high = wilson(0, 50)
print(f"0 of 50: {low:.3f} to {high:.3f}")
sizes = np.arange(1, 1000)
enough = sizes[wilson(0, sizes)[1] < 0.01][0]
print(f"upper end below 1 %: {enough} images")
assert round(high, 3) == 0.071
assert enough == 381

# %% 2
# In 25 of 100 repetitions some target seems to differ between two random halves,
# although nothing does. With the correction it is 3 of 100. The targets are alike, so
# that the false alarms come together; twenty independent ones would give alarms in 64
# of 100. Of all 2,000 p-values, 6 % are below 0.05, close to the 5 % that are expected.
from scipy.stats import fisher_exact

rng = np.random.RandomState(0)
smallest, all_p_values = [], []
for _ in range(100):
    half = rng.permutation(fooled.shape[1]) < fooled.shape[1] // 2
    p_values = []
    for row in fooled:
        first, second = row[half], row[~half]
        table = [[first.sum(), (~first).sum()], [second.sum(), (~second).sum()]]
        p_values.append(fisher_exact(table).pvalue)
    smallest.append(min(p_values))
    all_p_values.extend(p_values)
smallest = np.array(smallest)
alarms, corrected = np.sum(smallest < 0.05), np.sum(20 * smallest < 0.05)
print(f"false alarms: {alarms} of 100, {corrected} with Bonferroni's correction")
share_below = np.mean(np.array(all_p_values) < 0.05)
print(f"of all {len(all_p_values)} p-values, {share_below:.1%} are below 0.05")
assert 15 <= alarms <= 40
assert corrected <= 8
assert len(all_p_values) == 2000 and abs(share_below - 0.06) < 0.015

# %% 3
# The accuracy does not tell them apart. The robust score does: gamma=1 is ahead in all
# ten splits, by 7 points on average. Ten splits are not ten data sets: each image is in
# many of them. An interval over splits that forgets this is too narrow. A common remedy
# (Nadeau and Bengio, 2003) adds the ratio of test to training size to 1 / 10 in the
# variance. The interval becomes 2.4 times as wide, and still lies above 0.
from scipy.stats import t as student
from sklearn.model_selection import ShuffleSplit, cross_validate
from sklearn.svm import SVC

generator = AdversarialGenerator(attack="pgd", eps=0.1, clip_values=(0, 1))
judge = TransferScorer(generator).fit([models["logistic"], models["64 #0"]])
scoring = {"accuracy": "accuracy", "robust": judge.robust_accuracy}
splits = ShuffleSplit(10, train_size=0.67, random_state=0)
narrow_kernel, wide_kernel = (
    cross_validate(SVC(gamma=gamma), X_test, y_test, scoring=scoring, cv=splits)
    for gamma in (1, 0.03)
)
differences, halves = {}, {}
for name in scoring:
    values = narrow_kernel[f"test_{name}"] - wide_kernel[f"test_{name}"]
    differences[name] = values
    spread = student.ppf(0.975, 9) * values.std(ddof=1)
    halves[name] = spread * np.sqrt(1 / 10 + 0.33 / 0.67)
    print(f"{name}: difference {values.mean():+.3f} +- {halves[name]:.3f}", end="")
    print(f" (+- {spread / np.sqrt(10):.3f} if splits were independent)")
assert abs(differences["accuracy"].mean()) < halves["accuracy"]
assert (differences["robust"] > 0).all()
assert differences["robust"].mean() > halves["robust"]
