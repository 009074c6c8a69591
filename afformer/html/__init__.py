"""HTML reports: one look, one page without anything to load, readable on a phone, in light and in dark.

page              renders a template of this package
pictures          pictures as data URIs, and where two class maps differ
confusion         a confusion matrix as a table, and the worst mistakes in it
base.html.jinja   the page; a report extends it and fills the blocks `title`, `heading`, `subheading` and `body`
parts.html.jinja  macros for parts of pages: tables, tiles, bars, pictures, legends, confusion matrices
style.css         how all of it looks
"""
