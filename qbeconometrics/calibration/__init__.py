"""Learning rates of generalised posteriors, calibrated to the coverage they claim."""
