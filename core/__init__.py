"""Everything Sécateur does, without a user interface: pages and the command line call into here."""
