"""The supervisor process: it listens, decides, and holds every connection."""
