"""The whole server inside this process, for programs that talk to a model as they would to a server elsewhere."""
