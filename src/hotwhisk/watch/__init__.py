"""Notice when the sources of an action change."""
