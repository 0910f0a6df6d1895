"""How fast hotwhisk is, measured side by side with a bare server of the same language."""
