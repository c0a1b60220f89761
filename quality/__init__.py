"""Data quality under stable rule codes: the rule catalogue, its evaluators for objects, frames, drives and scenes,
quarantine records, and the accounting that shows that nothing is lost.
"""
