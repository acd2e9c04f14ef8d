"""Load tester for OpenAI-compatible servers: plan → driver → record → metrics → verdict → report."""
