"""The SQL engine, its sessions and its migrations."""
