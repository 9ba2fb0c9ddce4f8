"""`python -m feeds` and the command `feeds`."""

import signal


def run() -> None:
    """Run the program. Ctrl-C ends it at once while it is being loaded, and with status 130 before it serves."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # modules are not prepared for an exception
    from .cli import main

    signal.signal(signal.SIGINT, before)
    main()


if __name__ == "__main__":
    run()
