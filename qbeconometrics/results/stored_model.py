"""The model of results that were loaded from a file: names only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qbeconometrics import losses
from qbeconometrics.exceptions import DataNeededError, StorageError
from qbeconometrics.losses import Loss


class StoredModel:
    """What loaded results know of the model that was fitted; it holds no rows.

    Attributes
    ----------
    class_name : str
        Of the model.
    endog_names : str
    exog_names : list of str
    formula : str or None
        As it was typed.
    k_constant : int
        Whether there was a constant among the regressors.
    loss : Loss
        Of M-estimation; asking for it raises `DataNeededError` if it was the user's own.
    """

    def __init__(
        self,
        class_name: str,
        endog_names: str,
        exog_names: list[str],
        formula: str | None,
        k_constant: int,
        loss: Loss | None,
    ) -> None:
        self.class_name = class_name
        self.endog_names = endog_names
        self.exog_names = exog_names
        self.formula = formula
        self.k_constant = k_constant
        if loss is not None:
            self.loss = loss

    def __getattr__(self, name: str) -> Any:
        """Say what is needed; an AttributeError, so that ``hasattr`` says no."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise DataNeededError(
            f"{name.strip('_')} needs the {self.class_name} that was fitted, but these results "
            "were loaded from a file, which holds no rows of data. Build the model again from the "
            "data."
        )

    def _prediction_matrix(self, data: Any) -> Any:
        raise DataNeededError(
            "these results were loaded from a file, which does not hold how the formula "
            f"{self.formula!r} codes its columns. Pass the regressors themselves, in columns named "
            f"{', '.join(self.exog_names[:4])}{', ...' if len(self.exog_names) > 4 else ''}, with "
            "transform=False."
        )


def model_as_json(model: Any, class_name: str, formula: str | None) -> dict[str, Any]:
    """Describe a model for a file, without its rows."""
    names = list(map(str, getattr(model, "exog_names", [])))
    return {
        "class_name": class_name,
        "endog_names": str(getattr(model, "endog_names", "y")),
        "exog_names": names,
        "formula": formula,
        "k_constant": int(getattr(model, "k_constant", 0)),
        "loss": _loss_as_json(getattr(model, "loss", None)),
    }


def model_from_json(described: Mapping[str, Any]) -> StoredModel:
    """Rebuild what `model_as_json` described.

    Raises
    ------
    StorageError
    """
    kinds = {
        "class_name": str, "endog_names": str, "exog_names": list, "k_constant": int,
        "formula": (str, type(None)),
    }  # fmt: skip
    for name, kind in kinds.items():
        if not isinstance(described.get(name), kind):  # type: ignore[arg-type]
            raise StorageError(f"the model's {name} is missing or of the wrong type")
    loss = _loss_from_json(described.get("loss"))
    return StoredModel(**{name: described[name] for name in kinds}, loss=loss)


def _loss_as_json(loss: Loss | None) -> dict[str, Any] | None:
    """Name and numbers of one of the package's losses; None for the user's own."""
    name = type(loss).__name__
    if loss is None or name == "Custom" or type(loss) is not getattr(losses, name, None):
        return None
    return {"name": name, "options": {key: float(value) for key, value in vars(loss).items()}}


def _loss_from_json(described: Any) -> Loss | None:
    if described is None:
        return None
    kind = getattr(losses, str(described["name"]), None)
    if not (isinstance(kind, type) and issubclass(kind, Loss)) or kind in (Loss, losses.Custom):
        raise StorageError(f"{described['name']!r} is no loss of this package")
    loss: Loss = kind(**described["options"])
    return loss
