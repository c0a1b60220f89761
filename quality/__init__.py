"""What is wrong with a recording, in stable codes: the rule catalogue, its evaluators for objects, frames, drives and
scenes, quarantine records, and the accounting that shows nothing is lost.
"""
