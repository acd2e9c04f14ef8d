"""An OpenAI-compatible server over one small engine protocol, with a simulated engine that behaves under load."""
