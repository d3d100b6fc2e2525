"""One region's SQLite file: group commit, histories, runs, tasks, visibility, replication log.

`database.Store` is the way in. The other modules are sync functions on a connection, to be run inside
`Store.transact` (they write) or `Store.read` (they do not). Nothing here decides anything about workflows.
"""
