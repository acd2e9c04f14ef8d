"""How often a comparison finds a difference between a server and itself, and how often it finds a true one.

An imaginary server is simulated, whose speed drifts within a run and differs from run to run. Prints the tables of
docs/accuracy.md. Usage: python -m benchmarks.comparison_errors [COMPARISONS], 400 of each kind by default, in some
minutes.
"""

from __future__ import annotations

import sys

import numpy as np

from tests.support.simulated_runs import ImaginaryServer, compared

SERVERS = {
    "no drift": ImaginaryServer(drift=0.0),
    "drifts by 10 % within 1 s": ImaginaryServer(memory_ms=1_000),
    "drifts by 10 % within 5 s": ImaginaryServer(memory_ms=5_000),
    "runs differ by 3 %": ImaginaryServer(memory_ms=1_000, between=0.03),
}
SLOWER = 1.1


def main() -> None:
    comparisons = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print("| server | runs | figure | A against A differs | a change of 10 % is shown | smallest (median) |")
    print("|---|---:|---|---:|---:|---:|")
    for name, server in SERVERS.items():
        for runs in (1, 3, 5):
            for percent in (50, 99):
                rng = np.random.default_rng(1)
                null = [compared(server, rng, runs=runs, percent=percent) for _ in range(comparisons)]
                true = [compared(server, rng, runs=runs, percent=percent, slower=SLOWER) for _ in range(comparisons)]
                wrong = np.mean([found.p_value < 0.05 for found in null])
                shown = np.mean([found.low > 0 for found in true])
                smallest = np.median([found.smallest for found in null])
                print(
                    f"| {name} | {runs} + {runs} | p{percent} | {wrong:.1%} | {shown:.0%} | {smallest:.1%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
