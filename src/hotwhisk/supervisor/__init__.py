"""The supervisor process: it accepts, decides which worker serves, and keeps every connection."""
