"""The process that stays: it listens, decides, and holds every connection."""
