-- Each index costs every commit a page of the log at least, and a page costs as much as a statement: here are fewer.

-- Nobody asks for the envelopes of a delivery.
DROP INDEX envelope_delivery;

-- The first message of a conversation gives it its own MsgId, and is found by that.
DROP INDEX message_conversation;
CREATE INDEX message_conversation ON message (conversation_id) WHERE conversation_id <> msg_id;
