"""What stands in ops/ is true to the program."""
