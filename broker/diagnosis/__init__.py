"""Why a message stands where it stands, who has the ball, and what to do, in bokmål and English. Pure.

`causes` holds the error ids, `catalogue` their words; `standing` says where one delivery or inbox item stands. The same
words show in the API, the command line, the console and the log. Nothing here quotes a value out of a message body.
"""

from broker.diagnosis.catalogue import CAUSES
from broker.diagnosis.causes import Cause, message_error_id
from broker.diagnosis.standing import Standing, stand, stand_item

__all__ = ["CAUSES", "Cause", "Standing", "message_error_id", "stand", "stand_item"]
