"""Measurements, each with its own command; figures in README.md."""
