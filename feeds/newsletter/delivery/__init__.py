"""Delivery: the dispatcher of one run, the ledgers that feed it, and the rows and rates behind them."""
