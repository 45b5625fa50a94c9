# %% claims
blobs, colours = make_blobs(
    100, centers=[[0, 0], [2, 1]], cluster_std=0.6, random_state=0
)
line = LogisticRegression().fit(blobs, colours)
assert line.decision_function([x, x_adv]).round(2).tolist() == [1.45, -0.73]
assert np.sum(w == 0) == 10
assert (X_train[:, w == 0] == 0).all() and (X_train[:, w != 0] > 0).any(axis=0).all()
assert round(classifier.score(X_test, y_test), 2) == 0.99
assert X_test[three].min() == 0 and X_test[three].max() == 1
at_02 = budgets.index(0.2)
assert accuracy["noise"][at_02, 0].round(2) == 0.99
assert accuracy["attack"][at_02, 0].round(2) == 0.25
assert accuracy["attack"][-1, 0] == 0
assert np.allclose(by_library, attack(X_test, 0.2))
assert np.abs(accuracies - 0.975).max() < 0.005
assert means[0].round(1) == 1.4 and means[-1].round(2) == 0.13
assert np.allclose(means, 2 / np.sqrt(dimensions), rtol=0.05)

# %% 1
# The formula says that 84 % of the images are fooled at 0.2, the attack fools 75 %. The
# formula lets pixels leave the range from 0 to 1. Clipping forbids that, and takes 22 %
# of the change from the 54 pixels that have a weight. The 10 pixels with a weight of 0
# do not change either, but that costs nothing: they have no part in the score.
is_right = classifier.predict(X_test) == y_test
scores = np.abs(classifier.decision_function(X_test))
smallest = np.where(is_right, scores / np.abs(w).sum(), 0)
by_formula = (smallest <= 0.2).mean()
by_attack = (classifier.predict(attack(X_test, 0.2)) != y_test).mean()
has_weight = w != 0
change = np.abs(attack(X_test, 0.2) - X_test)[:, has_weight]
lost = 1 - change.mean() / 0.2
unclipped = X_test + 0.2 * towards_other * np.sign(w)
by_unclipped = (classifier.predict(unclipped) != y_test).mean()
print(
    f"fooled by the formula {by_formula:.2f}, by the attack {by_attack:.2f}, ", end=""
)
print(f"by the attack without clipping {by_unclipped:.2f}")
print(f"share of the change that clipping takes: {lost:.2f}")
assert round(by_formula, 2) == 0.84 and round(by_attack, 2) == 0.75
assert by_unclipped == by_formula
assert has_weight.sum() == 54 and round(lost, 2) == 0.22

# %% 2
# Among changes of one length, the score moves most along the weights themselves:
# ``r * w / norm(w)``. Now large weights get large changes, and small ones hardly any.
# At a length of 0.8 half of the images are fooled; noise of that length fools 1 %.
r = 0.8
direction = towards_other * w / np.linalg.norm(w)
noise = np.random.RandomState(0).normal(size=X_test.shape)
noise *= r / np.linalg.norm(noise, axis=1, keepdims=True)
attacked_accuracy = classifier.score(np.clip(X_test + r * direction, 0, 1), y_test)
noisy_accuracy = classifier.score(np.clip(X_test + noise, 0, 1), y_test)
print(f"accuracy under attack {attacked_accuracy:.2f}, with noise {noisy_accuracy:.2f}")
assert 0.4 < attacked_accuracy < 0.6
assert noisy_accuracy > 0.97


# %% 3
# No: at a budget of 0.2 the accuracy is 22 % with 16 pixels and 25 % with 64, which is
# no clear difference (lesson 4 tells how to judge one). In the made data the classes
# lie at the same distance in any dimension. Here they come closer as pixels are
# averaged: the means of the classes are 1.6 apart with 64 pixels, and 0.7 apart with
# 16.
def averaged(X):
    return X.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)


small = LogisticRegression(max_iter=1000).fit(averaged(X_train), y_train)
change = 0.2 * towards_other * np.sign(small.coef_[0])
with_16 = small.score(np.clip(averaged(X_test) + change, 0, 1), y_test)
with_64 = classifier.score(attack(X_test, 0.2), y_test)
print(f"accuracy under attack: {with_16:.2f} with 16 pixels, {with_64:.2f} with 64")
means_64 = [X_train[y_train == label].mean(axis=0) for label in (3, 8)]
between = np.linalg.norm(means_64[0] - means_64[1])
means_16 = [averaged(mean[np.newaxis])[0] for mean in means_64]
between_16 = np.linalg.norm(means_16[0] - means_16[1])
print(f"distance between the means: {between_16:.1f} with 16, {between:.1f} with 64")
assert abs(with_16 - with_64) < 0.1
assert round(between_16, 1) == 0.7 and round(between, 1) == 1.6
