"""Other ways to the spread of a generalised posterior, beside calibrated coverage."""
