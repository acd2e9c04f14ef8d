"""What `sdk`, `mock_server` and `bench` share and what belongs to none of them; it imports none of the three.

The distribution itself (version, install texts, the `streamgauge` command), and small parts without a domain: timers,
options under headings, the nearest name, hidden characters.
"""
