"""When a partner's ciphertexts are no longer opened: the only place that counts those that did not open.

Who may have many guesses at a ciphertext learns in the end what is inside, however alike the answers are. So a sender
whose signature holds, and of whose ciphertexts more than LIMIT within SPAN did not open, is held for SPAN: nothing of
it is decrypted.

Kept in memory, for senders with an agreement alone: a restart forgets it, and so gives at most LIMIT guesses more.
"""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

LIMIT: Final = 20
SPAN: Final = timedelta(hours=1)


class Holds:
    """What did not open lately, by the HER-id that signed for it. Times are aware, and do not go back.

    Used by the threads that open: between `until` and `failed` of one ciphertext others may pass, at most one a thread.
    """

    def __init__(self) -> None:
        self._failed: dict[int, deque[datetime]] = {}
        self._until: dict[int, datetime] = {}

    def until(self, her: int, now: datetime) -> datetime | None:
        """Return when the hold on `her` ends, or None where nothing holds it."""
        end = self._until.get(her)
        return end if end is not None and now < end else None

    def all(self, now: datetime) -> dict[int, datetime]:
        """Return everyone who is held now, until when."""
        return {her: end for her, end in dict(self._until).items() if now < end}

    def failed(self, her: int, now: datetime) -> datetime | None:
        """Count a ciphertext of `her` that did not open. Returns when the hold ends, if this was the one too many."""
        lately = self._failed.setdefault(her, deque(maxlen=LIMIT + 1))
        lately.append(now)
        if len(lately) <= LIMIT or now - lately[0] >= SPAN:
            return None
        lately.clear()
        self._until[her] = now + SPAN
        return self._until[her]
