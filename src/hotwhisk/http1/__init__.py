"""Parse and write HTTP/1.1, strictly, without I/O."""
