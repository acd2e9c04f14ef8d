"""A server that knows what it did: it stamps every write on the bench's clock, to hold the bench's figures against."""
