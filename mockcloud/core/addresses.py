"""Addresses as text."""

from __future__ import annotations


def joined(host: str, port: int) -> str:
    """HOST:PORT, as gRPC and URLs take it: an IPv6 address is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
