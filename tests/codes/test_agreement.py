"""code_agreement: linear CKA against its closed form, adjusted mutual information, and digits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_mutual_info_score

from skhalfway.codes import CodeAgreement, CodeMap, code_agreement
from skhalfway.codes._agreement import _factor, _linear_cka
from skhalfway.codes._network import Network, joined


def cka(a, b):
    return _linear_cka(_factor(a), _factor(b))


def closed_form(a, b):
    """HSIC of centred Gram matrices, Kornblith et al. 2019."""
    n = len(a)
    centre = np.eye(n) - 1 / n
    k, m = centre @ a @ a.T @ centre, centre @ b @ b.T @ centre
    return np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m))


@pytest.mark.parametrize(("p", "q"), [(5, 7), (40, 7), (40, 90), (1, 1)])
def test_linear_cka_is_that_of_the_paper(p, q):
    rng = np.random.RandomState(0)
    a = rng.standard_normal((30, p)) + 3
    b = a[:, :1] + rng.standard_normal((30, q))
    assert cka(a, b) == pytest.approx(closed_form(a, b))
    assert cka(a, b) == pytest.approx(cka(b, a))
    if p <= 30:
        by_features = [x - x.mean(axis=0) for x in (a, b)]
        x, y = by_features
        norms = (np.linalg.norm(m) for m in (y.T @ x, x.T @ x, y.T @ y))
        across, own, others = norms
        assert cka(a, b) == pytest.approx(across**2 / (own * others))


def test_what_linear_cka_does_not_see():
    rng = np.random.RandomState(0)
    a = rng.standard_normal((50, 6))
    turned = 3 * a @ ortho_group.rvs(6, random_state=0) - 2
    assert cka(a, turned) == pytest.approx(1)
    assert cka(a, a * [1, 1, 1, 1, 1, 50]) < 0.9
    orthogonal = np.linalg.qr(rng.standard_normal((50, 12)) - 0)[0]
    orthogonal -= orthogonal.mean(axis=0)
    halves = np.linalg.qr(orthogonal)[0]
    assert cka(halves[:, :6], halves[:, 6:]) == pytest.approx(0, abs=1e-12)
    assert np.isnan(cka(a, np.full((50, 3), 0.1, dtype=np.float32)))


def test_two_networks(digits, nets, code_maps):
    first, second = code_maps("mlp"), code_maps("cnn")
    found = code_agreement(first, second, digits.X_test)
    assert (found.first, found.second) == (tuple(first.layers_), tuple(second.layers_))
    codes = [each.transform(digits.X_test) for each in (first, second)]
    for i in range(3):
        for j in range(3):
            expected = adjusted_mutual_info_score(codes[0][:, i], codes[1][:, j])
            assert found.information[i, j] == pytest.approx(expected)
    a, b = (
        joined(Network(each.estimator_).activations(digits.X_test, each.layers_, "flatten"))
        for each in (first, second)
    )
    assert found.cka[0, 1] == pytest.approx(closed_form(a["activation_1"], b["5"]), abs=1e-4)
    back = code_agreement(second, first, digits.X_test)
    assert back.information == pytest.approx(found.information.T)
    assert back.cka == pytest.approx(found.cka.T)


def test_a_network_agrees_with_itself_and_not_with_chance(digits, code_maps):
    code_map = code_maps("skorch")
    found = code_agreement(code_map, code_map, digits.X_test)
    assert found.information.diagonal() == pytest.approx(1)
    assert found.cka.diagonal() == pytest.approx(1)
    assert (found.information[~np.eye(2, dtype=bool)] < 0.95).all()
    noise = np.random.RandomState(0).rand(2, 600)
    assert abs(adjusted_mutual_info_score(*(noise * 20).astype(int))) < 0.1


def test_result_and_errors(digits, code_maps):
    found = CodeAgreement(("a", "b"), ("c",), np.array([[0.2], [0.4]]), np.array([[0.5], [0.75]]))
    assert found.to_frame().loc[("b", "c")].tolist() == [0.4, 0.75]
    with pytest.raises(ValueError, match="read-only"):
        found.cka[0, 0] = 1
    with pytest.raises(ValueError, match=r"cka must have shape \(2, 1\)"):
        CodeAgreement(("a", "b"), ("c",), np.zeros((2, 1)), np.zeros((1, 2)))
    with pytest.raises(TypeError, match="a fitted CodeMap is needed, got ndarray"):
        code_agreement(code_maps("mlp"), digits.X, digits.X)
    with pytest.raises(NotFittedError):
        code_agreement(code_maps("mlp"), CodeMap(code_maps("mlp").estimator_), digits.X)
