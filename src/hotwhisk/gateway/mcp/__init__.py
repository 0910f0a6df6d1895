"""The actions of a namespace as tools of the Model Context Protocol."""
