"""What a path alone says about a file, by the kind of the store."""
