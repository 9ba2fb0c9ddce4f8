"""Plan issues, and show them: those to come, and those of the past.

`calendar` decides when one is due, `sections` which articles a reader gets, both pure; `planning` writes issues and their
deliveries, and reads them again; `preview` shows what is to come, `archive` what was sent.
"""
