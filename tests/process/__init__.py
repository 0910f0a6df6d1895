"""Tests with real processes: a server is started, loaded, broken and stopped."""
