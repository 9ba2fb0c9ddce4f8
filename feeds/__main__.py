"""`python -m feeds` and the command `feeds`."""

import signal
import sys


def run() -> None:
    """Run the program. Ctrl-C ends it at once while it is being loaded, and with status 130 before it serves."""
    sys.unraisablehook = lambda _fault: None  # what an object raises while it is thrown away is told by the fault before it
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # modules are not prepared for an exception
    from .cli import main

    signal.signal(signal.SIGINT, before)
    main()


if __name__ == "__main__":
    run()
