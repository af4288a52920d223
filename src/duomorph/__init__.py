"""Duomorph."""
