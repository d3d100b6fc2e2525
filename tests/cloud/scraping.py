"""Metrics over HTTP, as Prometheus reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families as text_format

from mockcloud import MockCloud


@dataclass(frozen=True)
class Metrics:
    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def __call__(self, name: str, /, **labels: str) -> float:
        return self.values[name, frozenset(labels.items())]

    def names(self) -> set[str]:
        return {name for name, _ in self.values}


async def scraped(cloud: MockCloud, path: str = "/metrics") -> Metrics:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{cloud.http}{path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return Metrics(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_format(answer.text)
            for sample in family.samples
        }
    )


async def once(cloud: MockCloud, condition: Callable[[Metrics], bool]) -> Metrics:
    """The metrics when they are so."""
    async with asyncio.timeout(10):
        while not condition(metrics := await scraped(cloud)):
            pass
        return metrics
