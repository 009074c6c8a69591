"""The jobs of the toolchain, each wired from its stages: what the command line calls, and what Python users may call.

Stages meet at files and know nothing of each other; this package is the one place that imports several of them, and
what belongs to one job alone it imports inside the function.
"""
