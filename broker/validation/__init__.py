"""What a business document must satisfy, and the sentences that say so without echoing it."""
