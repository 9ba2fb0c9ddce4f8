"""Requests -> who follows what, in numbers. Law: numbers only; no address, no User-Agent and nothing that tells readers apart.

Reading order: claims (what an aggregator says of itself, pure) -> records (the tables: counts of a day, readers of a day).
"""
