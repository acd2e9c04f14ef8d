"""The engines that need no model: simulated and scripted."""
