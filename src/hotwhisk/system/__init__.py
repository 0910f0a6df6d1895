"""The seam to the operating system."""
