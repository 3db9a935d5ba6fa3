"""What ``python -m qbeconometrics`` is made of."""
