"""`python -m feeds` and the command `feeds`."""

import gc
import signal
import sys

#: Objects made between two looks for circles of garbage: a few megabytes. With 700, as Python has it, it would look dozens of
#: times while libraries are loaded.
GARBAGE = 20_000


def run() -> None:
    """Run the program. Ctrl-C ends it at once while it is being loaded, and with status 130 before it serves."""
    sys.unraisablehook = lambda _fault: None  # what an object raises while it is thrown away is told by the fault before it
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # modules are not prepared for an exception
    gc.set_threshold(GARBAGE)
    from .cli import main

    signal.signal(signal.SIGINT, before)
    try:
        main()
    finally:
        gc.freeze()  # else Python looks through all that was loaded for circles before it ends, a tenth of a short command


if __name__ == "__main__":
    run()
