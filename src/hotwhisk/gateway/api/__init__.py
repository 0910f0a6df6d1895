"""OpenWhisk's REST API, so that ``wsk`` and other clients notice no difference."""
