"""One module for each kind of command; each parses, imports what it needs, calls one function and reports."""
