"""`infer`: chat in the terminal, single questions, and evaluation over a dataset. A client of the server's API."""
