"""
What must outlive the gateway, in one SQLite database.

An entity is stored as the document that the API shows. Columns hold only what is searched.
"""
