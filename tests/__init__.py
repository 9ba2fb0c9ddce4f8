"""A package, so that no other of this name (one of the peers brings its own) is taken for it."""
