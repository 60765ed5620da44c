"""Reads `measured KIND DRIVER MODE BYTES PER_SECOND CPU_NS` lines and prints a
row for each case: Bulkhead's median against each other driver's, as the other
benchmarks do (tests/bench/report.h)."""
import collections
import json
import statistics
import sys

# What rate is asked for, and what it costs.
FIGURES = {"": ("fps", 0), "_cpu": ("ns", 1)}


def read(lines):
    """{(kind, mode, bytes): {driver: [(per second, CPU ns)]}}"""
    cases = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in lines:
        words = line.split()
        if len(words) == 7 and words[0] == "measured":
            kind, driver, mode, size, rate, cpu = words[1:]
            cases[kind, mode, size][driver].append((float(rate), float(cpu)))
    return cases


def rows(cases):
    for (kind, mode, size), drivers in cases.items():
        for suffix, (unit, index) in FIGURES.items():
            values = {driver: [sample[index] for sample in samples]
                      for driver, samples in drivers.items()}
            ours = values.pop("bulkhead", None)
            for other, theirs in values.items():
                yield row(f"{kind}_{mode}_{size}{suffix}", ours, unit, other, theirs)
            if not values and ours:
                yield row(f"{kind}_{mode}_{size}{suffix}", ours, unit, None, None)


def row(name, ours, unit, other, theirs):
    value = statistics.median(ours) if ours else None
    against = statistics.median(theirs) if theirs else None
    return {"bench": "hardware", "case": name, "value": value, "unit": unit,
            "against": other, "against_value": against,
            "ratio": round(value / against, 3) if value is not None and against else None,
            "min": min(ours) if ours else None, "max": max(ours) if ours else None,
            "against_min": min(theirs) if theirs else None,
            "against_max": max(theirs) if theirs else None}


def main():
    as_json = "--json" in sys.argv[1:]
    printed = 0
    for one in rows(read(sys.stdin)):
        printed += 1
        if as_json:
            print(json.dumps(one), flush=True)
            continue
        if printed == 1:
            print(f"{'hardware':26} {'Bulkhead':>10} {'min … max':>21}    "
                  f"{'against':8} {'':>10} {'ratio':>6}")
        spread = f"{one['min'] or 0:.0f} … {one['max'] or 0:.0f}"
        print(f"  {one['case']:24} {one['value'] or 0:10.0f} {spread:>21} {one['unit']:3}"
              f" {one['against'] or '':8} {one['against_value'] or 0:10.0f} {one['ratio'] or 0:6.2f}")
    return 0 if printed else 1


if __name__ == "__main__":
    sys.exit(main())
