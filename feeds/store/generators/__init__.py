"""Generators of sites: which one a store belongs to, and what its own configuration says."""
