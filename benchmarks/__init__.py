"""Benchmarks: how fast a promise of Kiln's is kept, measured as ratios in one run on one machine.

A scenario is one module under ``scenarios/``. Nothing here asserts a time: goals are shown as met
or missed, and a number without its hardware is no number.
"""
