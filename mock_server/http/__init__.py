"""HTTP as every route needs it: exchanges, bodies, connections, and who may call."""
