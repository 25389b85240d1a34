"""Every cause that a message can stand still for, produced for real, and named rightly to everyone who asks."""
