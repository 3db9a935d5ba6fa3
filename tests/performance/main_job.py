"""Seconds of processor time from formula to summary on Card's equation, and of the import.

    python tests/performance/main_job.py

`from_formula`, `fit` with 4 x 2,000 draws and `summary`, five times in one process, import done.
"""

import statistics
import subprocess
import sys
import time

FORMULA = (
    "lwage ~ exper + expersq + black + south + smsa + reg661 + reg662 + reg663 + reg664 + reg665"
    " + reg666 + reg667 + reg668 + smsa66 + [educ ~ nearc4]"
)


def import_seconds(module):
    """Median seconds to import a module in a fresh process."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    runs = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5)]
    return statistics.median(runs)


def main():
    print(f"import statsmodels.base.model {import_seconds('statsmodels.base.model'):6.2f} s")
    print(f"import qbeconometrics         {import_seconds('qbeconometrics'):6.2f} s")
    import qbeconometrics as qb

    data = qb.datasets.load("card1995")
    processor, wall = [], []
    for repeat in range(5):
        began = time.process_time(), time.perf_counter()
        results = qb.QuasiBayesIV.from_formula(FORMULA, data).fit(rng=repeat)
        str(results.summary())
        processor.append(time.process_time() - began[0])
        wall.append(time.perf_counter() - began[1])
        print(
            f"rng={repeat}: {processor[-1]:.2f} s of processor time, {wall[-1]:.2f} s of wall "
            f"time, largest R-hat {results.rhat().max():.4f}, {results.record.sampler}"
        )
    print(f"median processor time {statistics.median(processor):.2f} s")
    print(f"median wall time      {statistics.median(wall):.2f} s")


if __name__ == "__main__":
    main()
