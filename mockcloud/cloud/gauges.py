"""What the metrics of a cloud have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client.core import GaugeMetricFamily

CLOUD: Final = ("temporal_namespace", "temporal_account", "region")
"""The labels that all metrics of Temporal Cloud begin with."""


def gauge(
    name: str, text: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    """A metric with its samples: the labels' values, and what it is."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, float(value))
    return family
