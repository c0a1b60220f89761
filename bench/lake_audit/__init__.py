"""Audits of lakes of different sizes."""
