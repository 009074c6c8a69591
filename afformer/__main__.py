"""`python -m afformer`, the same as `afformer-cli`."""

from afformer.cli import main

main()
