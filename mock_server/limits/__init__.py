"""What a request would cost, computed before an engine sees it. Pure."""
