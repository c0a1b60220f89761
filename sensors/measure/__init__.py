"""Measurements of a decoded frame that rules evaluate: sharpness, exposure, returns, spread."""
