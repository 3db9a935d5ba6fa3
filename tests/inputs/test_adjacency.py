"""Networks in every form, and what is said of those that are none."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from qbeconometrics.exceptions import InputError
from qbeconometrics.inputs.adjacency import read_adjacency

LINKS = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
NAMES = ["a", "b", "c", "d"]


def changed(*cells, value=None):
    matrix = LINKS.astype(float)
    for i, j in cells:
        matrix[i, j] = value
    return matrix


@pytest.mark.parametrize(
    "form",
    [
        np.asarray,
        np.ndarray.tolist,
        lambda matrix: matrix.astype(bool),
        np.asfortranarray,
        sparse.csr_matrix,
        sparse.coo_array,
        lambda matrix: pd.DataFrame(matrix, index=NAMES, columns=NAMES),
    ],
)
def test_forms(form):
    links, names = read_adjacency(form(LINKS), None)
    np.testing.assert_array_equal(links, LINKS == 1)
    assert names == (
        ("a", "b", "c", "d") if isinstance(form(LINKS), pd.DataFrame) else tuple("1234")
    )


def test_columns_of_a_frame_are_matched_by_label():
    frame = pd.DataFrame(LINKS, index=NAMES, columns=NAMES)
    links, names = read_adjacency(frame[["d", "b", "a", "c"]], None)
    np.testing.assert_array_equal(links, LINKS == 1)
    assert names == tuple(NAMES)


@pytest.mark.parametrize("value", [1.0, np.nan, 7.0])
def test_diagonal_is_not_read(value):
    given = changed(*((i, i) for i in range(4)), value=value)
    before = given.copy()
    np.testing.assert_array_equal(read_adjacency(given, NAMES)[0], LINKS == 1)
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(
    ("adjacency", "said"),
    [
        (changed((0, 1), value=np.nan), r"adjacency\['a', 'b'\] is missing"),
        (changed((2, 3), (3, 2), value=0.5), r"adjacency\['c', 'd'\] is 0.5 and must be 0 or 1"),
        (changed((1, 3), (3, 1), value=-1.0), r"adjacency\['b', 'd'\] is -1 and must be 0 or 1"),
        (changed((1, 3), (3, 1), value=np.inf), r"is inf and must be 0 or 1"),
        (changed((0, 3), value=1.0), r"symmetric, but \['a', 'd'\] is 1 and \['d', 'a'\] is 0"),
        (LINKS[:3], r"square, not of shape \(3, 4\)"),
        (np.ones(4), r"square, not of shape \(4,\)"),
        (LINKS[:2, :2], "2 nodes; at least 3"),
        (np.zeros((4, 4)), "no links of 6 pairs"),
        (np.ones((4, 4)), "all links of 6 pairs"),
        ([["x"] * 4] * 4, "square matrix of 0 and 1"),
        ([[0, 1], [1]], "square matrix of 0 and 1"),
        (LINKS * 1j, "square matrix of 0 and 1"),
        (None, "square"),
    ],
)
def test_no_network(adjacency, said):
    with pytest.raises(InputError, match=said):
        read_adjacency(adjacency, NAMES)


@pytest.mark.parametrize(
    ("index", "columns", "said"),
    [
        (["a", "b", "c", "d"], ["a", "b", "c", "e"], "'d' is in one only"),
        (["a", "b", "a", "d"], ["a", "b", "c", "d"], "the label 'a' twice in its rows"),
        (["a", "b", "c", "d"], ["a", "d", "c", "d"], "the label 'd' twice in its columns"),
    ],
)
def test_labels_that_do_not_fit(index, columns, said):
    with pytest.raises(InputError, match=said):
        read_adjacency(pd.DataFrame(LINKS, index=index, columns=columns), None)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a", "b"], "names must be 4 texts"),
        ("abcd", "4 texts"),
        (["a", "b", "b", "c"], "'b' twice"),
    ],
)
def test_names_that_do_not_fit(names, said):
    with pytest.raises(InputError, match=said):
        read_adjacency(LINKS, names)
