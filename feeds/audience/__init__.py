"""The audience of feeds, in numbers: requests by day, and the readers that aggregators report.

Invariant: sums only; no address and no User-Agent is stored, and nothing that tells readers apart.
"""
