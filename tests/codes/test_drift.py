"""Drift: what moves on the maps, against noise of the same norm."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skhalfway import AdversarialGenerator
from skhalfway._intervals import wilson_interval
from skhalfway.codes import CodeMap, Drift
from skhalfway.codes._encoder import Encoder


def test_closed_form():
    result = Drift(("a", "b"), np.ones(4), np.array([[0.0, 0, 1, 0], [5.0, 0, 3, 4]]), np.zeros((2, 4)))
    assert result.changed.tolist() == [0.25, 0.75]
    assert result.distance.tolist() == [0.25, 3]
    assert result.noise_changed.tolist() == result.noise_distance.tolist() == [0, 0]
    ends = result.confidence_interval()
    assert ends.low.tolist() == pytest.approx(wilson_interval(np.array([1, 3]), 4).low.tolist())
    # on the scale of the logarithm, by the delta method
    reach = t.ppf(0.975, 3) * np.std([5, 0, 3, 4], ddof=1) / 2
    low, high = result.confidence_interval(of="distance")
    assert (low[1], high[1]) == pytest.approx((3 * np.exp(-reach / 3), 3 * np.exp(reach / 3)))
    with pytest.raises(ValueError, match="of must be one of .*, got 'depth'"):
        result.confidence_interval(of="depth")
    assert result.to_frame()["distance"]["value"].tolist() == [0.25, 3]
    with pytest.raises(ValueError, match="read-only"):
        result.distances[0, 0] = 1
    with pytest.raises(ValueError, match=r"noise_distances must have shape \(2, 4\), got \(1, 4\)"):
        Drift(("a", "b"), np.ones(4), np.zeros((2, 4)), np.zeros((1, 4)))


def test_distances_are_those_of_the_codes(digits, code_maps):
    code_map, X = code_maps("mlp"), digits.X_test
    X_adv = X[::-1].copy()
    before, after = code_map.transform(X), code_map.transform(X_adv)
    found = code_map.drift(X, X_adv)
    assert found.distances.shape == (3, 600)
    assert ((found.distances > 0).T == (before != after)).all()
    (row, column), (row_after, column_after) = (np.divmod(codes, 8) for codes in (before, after))
    assert found.distances.T == pytest.approx(np.hypot(row - row_after, column - column_after))
    assert found.norms == pytest.approx(np.linalg.norm(X - X_adv, axis=1))


def test_what_does_not_move_has_no_noise(digits, code_maps):
    X_adv = digits.X_test.copy()
    X_adv[300:] += 0.3
    found = code_maps("cnn").drift(digits.X_test, X_adv)
    assert (found.norms[:300] == 0).all() and found.norms[300:] == pytest.approx(2.4)
    assert (found.distances[:, :300] == 0).all() and (found.noise_distances[:, :300] == 0).all()
    assert (found.noise_distances[:, 300:] > 0).any(axis=1).all()


def test_noise_has_the_norm_of_the_perturbation(digits, code_maps, monkeypatch):
    code_map, seen = code_maps("mlp"), []
    codes_of = Encoder.codes

    def spy(self, array):
        seen.append(array)
        return codes_of(self, array)

    monkeypatch.setattr(Encoder, "codes", spy)
    X_adv = digits.X_test + np.linspace(0, 1, 600)[:, None]
    found = code_map.drift(digits.X_test, X_adv)
    clean, moved, noisy = seen
    assert np.linalg.norm(noisy - clean, axis=1) == pytest.approx(found.norms)
    assert np.linalg.norm(moved - clean, axis=1) == pytest.approx(found.norms)
    direction = (noisy - clean)[1:] / found.norms[1:, None]
    assert abs(direction.mean()) < 0.01


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_an_attack_moves_codes_of_digits_more_than_noise(digits, nets, code_maps, name):
    source = nets(name) if name == "cnn" else FrozenEstimator(nets(name))
    generator = AdversarialGenerator(source, attack="pgd", eps=0.15, clip_values=(0, 1))
    found = code_maps(name).drift(digits.X_test, generator.transform(digits.X_test))
    for figure in ("changed", "distance"):
        noise = found.confidence_interval(of=f"noise_{figure}")
        assert (found.confidence_interval(of=figure).low > noise.high).all()
    if name == "cnn":  # the attack's lead grows with depth; on the perceptron it is large throughout
        lead = found.changed - found.noise_changed
        assert lead[-1] > lead[0] + 0.1


def test_columns_in_different_units_have_no_fair_control():
    """One budget in standard deviations is 500 times as much of one column as of the others."""
    rng = np.random.RandomState(0)
    units = np.array([500.0, 1, 1, 1, 1])
    X = rng.standard_normal((80, 5)) * units
    network = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=20, tol=1, random_state=0))
    code_map = CodeMap(network.fit(X, X[:, 1] > 0), n_iter=100, random_state=0).fit(X)
    change = 0.3 * units * rng.choice([-1, 1], X.shape)
    with pytest.warns(UserWarning, match="changed 500 times as much .* scale the columns first"):
        code_map.drift(X, X + change)
    code_map.drift(X, X + change / units)
