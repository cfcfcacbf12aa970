"""Reading and writing of foreign files: one module a format, no web, no database, no torch."""
