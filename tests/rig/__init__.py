"""What the long-running harnesses share: sites, documents, the wire between brokers, processes that are watched."""
