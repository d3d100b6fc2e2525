"""Figures of a cloud against null servers, all in one run on one machine: only the ratios count."""
