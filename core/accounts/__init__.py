"""People: accounts, passwords, sessions, invitations, and who may do what."""
