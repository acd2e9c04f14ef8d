"""An OpenAI-compatible server over a small engine protocol, with a simulated engine that behaves like a real one under
load.
"""
