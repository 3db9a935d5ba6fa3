from numpy import float64
from numpy.typing import NDArray

_Floats = NDArray[float64]

def row_products(
    endog: _Floats,
    exog: _Floats,
    instrument: _Floats,
    centre: _Floats,
    regressor_map: _Floats,
    instrument_map: _Floats,
    w: _Floats,
    z: _Floats,
    w_pairs: _Floats,
    z_pairs: _Floats,
    lengths: _Floats,
    fourth: _Floats,
) -> None: ...

# What Cython adds to every module.
__test__: dict[str, str]
