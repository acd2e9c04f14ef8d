"""What is sent and when it arrives: prompts, the body of each request, arrival processes."""
