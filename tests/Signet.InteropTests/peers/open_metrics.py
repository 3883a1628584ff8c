"""Reads metrics as Prometheus' own library does: strictly. Prints each bucket that has an exemplar.

usage: open_metrics.py FILE
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with open(sys.argv[1], encoding="utf-8") as file:
    families = list(text_string_to_metric_families(file.read()))
for family in families:
    for sample in family.samples:
        if sample.exemplar is not None:
            print(sample.name, sample.labels["direction"], sample.exemplar.labels["trace_id"], sample.exemplar.value <= float(sample.labels["le"]), sample.exemplar.timestamp is not None)
print(f"{len(families) > 20} families")
