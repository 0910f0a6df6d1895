"""The cases, one test each; their names begin with the row of the platform's own tests."""
