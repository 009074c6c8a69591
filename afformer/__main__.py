"""`python -m afformer`, the same as `afformer-cli`: the command line, and what signals do to it.

SIGINT ends it with 130 and SIGTERM with 143, from the first moment on, and temporary files are removed. A second signal
ends it at once.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from types import FrameType
from typing import NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM)


class _Signals:
    """What signals do until the process ends."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self._loading = True
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell has it for what it runs in the background
                signal.signal(number, self._end)

    def loaded(self) -> None:
        """From here on there may be something to clean up."""
        self._loading = False

    def restore(self) -> None:
        """What is left of the process may be ended by the system."""
        for number in _ENDING:
            if signal.getsignal(number) == self._end:
                signal.signal(number, signal.SIG_DFL)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if self._loading or self.exit_code is not None:
            os._exit(128 + number)
        self.exit_code = 128 + number
        raise SystemExit(self.exit_code)


def run() -> NoReturn:
    """The program."""
    signals = _Signals()
    from afformer.cli import main  # here, as it takes a moment

    signals.loaded()
    # Pillow's about damaged files, of which our own errors tell, unless the user wants to see them.
    warnings.filterwarnings("ignore", module="PIL", append=True)
    try:
        main()
        sys.exit()
    except BaseException:  # a library may have put its own exception in the place of ours
        if signals.exit_code is None:
            raise
        sys.exit(signals.exit_code)
    finally:
        signals.restore()


if __name__ == "__main__":
    run()
