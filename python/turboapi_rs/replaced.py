"""What is replaced in the process for as long as somebody needs it.

Owns: `Replacement`: the first one replaces, the last one puts back. Does not own: what is replaced, and by what.
Rule: threads that overlap leave the process as it was before the first of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType


class Replacement:
    """Something of the process that is another while anybody is between `begin` and `end`, or in a `with` block.

    Args:
        replace: puts the other in its place; gives what puts it back.

    Threads: any. `replace` and what it gives run under a lock.

    Example:
        >>> state = ["as ever"]
        >>> def replace():
        ...     state[0] = "another"
        ...     return lambda: state.__setitem__(0, "as ever")
        >>> replacement = Replacement(replace)
        >>> with replacement:
        ...     state
        ['another']
        >>> state
        ['as ever']
    """

    def __init__(self, replace: Callable[[], Callable[[], object]]) -> None:
        self._replace = replace
        self._lock = threading.Lock()
        self._users = 0
        self._restore: Callable[[], object] | None = None

    def begin(self) -> None:
        """Replace it, unless it is."""
        with self._lock:
            if self._restore is None:
                self._restore = self._replace()
            self._users += 1

    def end(self) -> None:
        """Put it back, unless somebody else needs it."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._restore is not None:
                restore, self._restore = self._restore, None
                restore()

    def __enter__(self) -> None:
        self.begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.end()
