"""`python -m feeds` and the command `feeds`."""

import sys


def run() -> None:
    """Run the program. Ctrl-C ends it quietly also while it is being loaded."""
    try:
        from .cli import main

        main()
    except KeyboardInterrupt:
        sys.exit("feeds: interrupted")


if __name__ == "__main__":
    run()
