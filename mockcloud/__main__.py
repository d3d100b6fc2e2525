"""`python -m mockcloud`: the command line."""

from mockcloud.cli.main import main

main()
