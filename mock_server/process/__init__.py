"""The process around the application: sockets, TLS, signals, the HTTP protocol of uvicorn."""
