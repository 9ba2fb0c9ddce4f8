"""`python -m feeds`."""

from .cli import main

if __name__ == "__main__":
    main()
