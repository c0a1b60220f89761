"""Figures of a decoded frame that rules judge: sharpness, exposure, returns, spread."""
