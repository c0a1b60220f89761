"""Keeps the tables small and fast without changing what they hold."""
