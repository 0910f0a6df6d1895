"""Write everything of a namespace as files, and as commands of ``wsk`` that make it again."""
