-- For those who look: when a partner last acknowledged, and when it was last heard of, without reading every message.
CREATE INDEX envelope_acknowledged ON envelope (to_her, acknowledged_at) WHERE acknowledged_at IS NOT NULL;
CREATE INDEX message_heard ON message (sender_her, at) WHERE direction = 'in';
