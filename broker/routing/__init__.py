"""Pure choice: which party, agreement, process and endpoint a message goes by."""
