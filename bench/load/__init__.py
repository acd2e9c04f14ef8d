"""The load itself: when requests start, who sends them, and what surrounds the run."""
