"""Facts about the distribution itself, which `sdk`, `mock_server` and `bench` all may ask for."""
