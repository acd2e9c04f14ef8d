"""What is asked: prompts, and the body of each request."""
