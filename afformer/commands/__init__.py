"""One file per command: parse, import what it needs, call one library function, report.

A parameter is called what the library calls it, so that the library's errors can be shown with the command's own flags
(see `afformer.commands.flags`). Nothing here loads numpy, OpenCV or a framework until a command runs.
"""
