from numpy import float64, int64
from numpy.typing import NDArray

_Floats = NDArray[float64]

def sum_row_products(
    endog: _Floats,
    exog: _Floats,
    instrument: _Floats,
    row_map: _Floats,
    instrument_map: _Floats,
    lengths: _Floats,
    fourth: _Floats,
    cross: _Floats,
    instrument_product: _Floats,
    row_product: _Floats,
) -> None: ...
def compare_columns(
    left: _Floats,
    right: _Floats,
    pairs: NDArray[int64],
    left_squares: _Floats,
    right_squares: _Floats,
) -> bool: ...

# What Cython adds to every module.
__test__: dict[str, str]
