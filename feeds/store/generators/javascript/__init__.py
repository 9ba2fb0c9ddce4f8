"""Literals of JavaScript and TypeScript: what a module exports and names. Nothing is run.

`tokens` splits a source, `modules` reads what it declares, `expressions` reads values when they are asked for. All take linear
time and end for every text: what they do not understand is `literals.UNKNOWN`. A condition on the environment is read as in a
build (`NODE_ENV` is `production`); of one that is not known, a fallback counts: `process.env.URL || "https://example.org"`.
"""
