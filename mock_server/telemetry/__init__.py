"""The server's counts, and how it reports them."""
