"""The command line of the bench."""
