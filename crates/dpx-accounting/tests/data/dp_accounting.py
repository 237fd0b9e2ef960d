"""Figures of Google's dp_accounting for `dp_accounting.csv`, which `crates/dpx-accounting/tests/main/reference.rs` compares with this crate.

    pip install dp-accounting==0.6.0
    python dp_accounting.py > dp_accounting.csv

A row is a composition: mechanisms as `sampling rate:noise multiplier:count`, separated by spaces; the number of records
of one person; delta; epsilon by privacy loss distributions, pessimistic and optimistic; epsilon by RDP (of one record).
"""

import sys

import dp_accounting
from dp_accounting import rdp
from dp_accounting.pld import privacy_loss_distribution as pld
from scipy import stats

# name, [(sampling rate, noise multiplier, count)], records of one person, delta, discretization
ROWS = [
    ("short run", [(0.016, 0.8, 188)], 1, 1e-5, 1e-4),
    ("long run", [(0.016, 1.0, 4000)], 1, 1e-5, 1e-4),
    ("rare and noisy", [(0.001, 2.0, 10000)], 1, 1e-6, 1e-5),
    ("often", [(0.25, 4.0, 300)], 1, 1e-5, 1e-4),
    ("full batch descent", [(1.0, 20.0, 60)], 1, 1e-5, 1e-4),
    ("noisy counts", [(1.0, 1.5, 1)], 1, 1e-7, 1e-4),
    ("run and counts", [(0.016, 0.8, 188), (1.0, 12.0, 1)], 1, 1e-5, 1e-4),
    ("run, teacher and counts", [(0.0625, 1.2, 150), (1.0, 25.0, 60), (1.0, 9.0, 1)], 1, 2.37e-5, 1e-4),
    ("three rows of a sweep", [(0.016, 0.5, 188), (0.016, 0.6, 188), (0.016, 0.8, 188)], 1, 1e-5, 1e-4),
    ("five replicates", [(0.016, 0.8, 940)], 1, 1e-5, 1e-4),
    ("two runs of unlike sampling", [(0.004, 0.7, 1000), (0.1, 2.0, 100)], 1, 1e-6, 1e-4),
    ("two counts of unlike noise", [(1.0, 5.0, 3), (1.0, 2.0, 1)], 1, 1e-5, 1e-4),
    ("small epsilon", [(0.01, 8.0, 500)], 1, 1e-6, 1e-5),
    ("small delta", [(0.016, 1.1, 500)], 1, 1e-9, 1e-4),
    ("two records", [(0.016, 0.8, 500)], 2, 1e-5, 1e-3),
    ("five records", [(0.016, 1.0, 188)], 5, 1e-5, 1e-3),
    ("twenty records", [(0.016, 2.0, 188)], 20, 1e-5, 1e-3),
    ("forty records, seldom", [(0.002, 1.0, 100)], 40, 1e-6, 1e-3),
    ("ten records of a run and counts", [(0.016, 2.0, 188), (1.0, 40.0, 1)], 10, 1e-5, 1e-3),
    ("two hundred records, almost always sampled", [(0.984, 300.0, 4)], 200, 1e-5, 1e-2),
    ("a thousand records", [(0.01, 50.0, 20)], 1000, 1e-5, 1e-2),
]


def composed(mechanisms, group, spacing, pessimistic):
    """The privacy loss distribution of all mechanisms, for a group of records that are sampled independently."""
    total = None
    for rate, sigma, count in mechanisms:
        # dp_accounting connects the dots only from above; from below it rounds.
        how = dict(
            pessimistic_estimate=pessimistic,
            value_discretization_interval=spacing,
            use_connect_dots=pessimistic,
        )
        if group == 1:
            one = pld.from_gaussian_mechanism(sigma, sampling_prob=rate, **how)
        elif rate == 1.0:
            one = pld.from_gaussian_mechanism(sigma / group, **how)
        else:
            law = stats.binom(group, rate)
            counts = [j for j in range(group + 1) if law.pmf(j) > 1e-18]
            weights = law.pmf(counts)
            weights = weights / weights.sum()
            one = pld.from_mixture_gaussian_mechanism(sigma, counts, weights, **how)
        one = one.self_compose(count)
        total = one if total is None else total.compose(one)
    return total


def by_rdp(mechanisms, delta):
    accountant = rdp.RdpAccountant()
    for rate, sigma, count in mechanisms:
        event = dp_accounting.GaussianDpEvent(sigma)
        if rate < 1.0:
            event = dp_accounting.PoissonSampledDpEvent(rate, event)
        accountant.compose(event, count)
    return accountant.get_epsilon(delta)


def main():
    print("name,mechanisms,records,delta,pessimistic,optimistic,rdp")
    for name, mechanisms, group, delta, spacing in ROWS:
        upper = composed(mechanisms, group, spacing, True).get_epsilon_for_delta(delta)
        lower = composed(mechanisms, group, spacing, False).get_epsilon_for_delta(delta)
        renyi = f"{by_rdp(mechanisms, delta):.9f}" if group == 1 else ""
        text = " ".join(f"{rate}:{sigma}:{count}" for rate, sigma, count in mechanisms)
        label = name.replace(",", ";")
        print(f"{label},{text},{group},{delta},{upper:.9f},{lower:.9f},{renyi}", flush=True)
        print(label, file=sys.stderr)


if __name__ == "__main__":
    main()
