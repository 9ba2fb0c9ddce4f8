"""What the project promises in figures: `make bench` prints each beside its bound.

A figure is a module with a `measure(bench)` that yields `Figure`s; `__main__` names them all. `bench` has the sizes, stores
and sites, `stores` makes stores of the archive's shape (`shape`) from texts of real articles, `processes` starts servers and
reads memory. Ratios are of one run, their two sides measured in turns. hugo, nginx and wrk come from the system; without one of
them its figures are said to be unmeasured.
"""
