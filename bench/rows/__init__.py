"""The rows of the table, a module per part. Each has ``rows()``, called in a process where Django is set up."""
