"""The command line: `mockcloud up` runs a cloud, everything else talks to a running one."""
