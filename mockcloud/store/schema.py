"""The tables of a region, and how an older file becomes a current one. A newer file is never touched.

One entry of `MIGRATIONS` per schema version; released entries never change. The version is SQLite's
`user_version`.

What hangs together (see `runs.write_run`): a change of a run costs one row in `nodes`, one update in `runs`,
one row in `replication_log` and the offers that came or went. So rows are small, and the tables that grow
with each change are either appended to or keyed so that neighbours share pages. Times are nanoseconds,
messages are serialised protobuf.
"""

from __future__ import annotations

import sqlite3

from mockcloud.core.errors import StartupError
from mockcloud.store.blank import fill_blank

# "mckc" as a big-endian integer: tells our files from those of other programs.
APPLICATION_ID = 0x6D636B63

_V1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE namespaces (namespace_id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL)
WITHOUT ROWID;

CREATE TABLE runs (
    run_key INTEGER PRIMARY KEY,
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    zombie INTEGER NOT NULL,
    due INTEGER,
    delete_at INTEGER,
    errands INTEGER NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (namespace_id, workflow_id, run_id)
);
CREATE INDEX runs_due ON runs (namespace_id, due) WHERE due IS NOT NULL;
CREATE INDEX runs_errands ON runs (namespace_id) WHERE errands;
CREATE INDEX runs_delete_at ON runs (delete_at) WHERE delete_at IS NOT NULL;

CREATE TABLE current_runs (
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    create_request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    start_time INTEGER NOT NULL,
    start_version INTEGER NOT NULL,
    last_write_version INTEGER NOT NULL,
    close_time INTEGER NOT NULL,
    attached_request_ids TEXT NOT NULL,
    PRIMARY KEY (namespace_id, workflow_id)
) WITHOUT ROWID;

CREATE TABLE branches (
    branch_id INTEGER PRIMARY KEY,
    run_key INTEGER NOT NULL,
    parent_id INTEGER NOT NULL,
    last_shared_event_id INTEGER NOT NULL
);
CREATE INDEX branches_run ON branches (run_key);

CREATE TABLE nodes (
    node_id INTEGER PRIMARY KEY,
    branch_id INTEGER NOT NULL,
    first_event_id INTEGER NOT NULL,
    last_event_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (branch_id, first_event_id)
);

CREATE TABLE offers (
    run_key INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    scheduled_event_id INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    task_queue TEXT NOT NULL,
    sticky INTEGER NOT NULL,
    normal_queue TEXT NOT NULL,
    ready_time INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    fairness_key TEXT NOT NULL,
    fairness_weight REAL NOT NULL,
    PRIMARY KEY (run_key, kind, scheduled_event_id)
) WITHOUT ROWID;

CREATE TABLE task_queue_user_data (
    namespace_id TEXT NOT NULL,
    task_queue TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (namespace_id, task_queue)
) WITHOUT ROWID;

CREATE TABLE visibility (
    run_key INTEGER PRIMARY KEY,
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    order_time INTEGER NOT NULL,
    workflow_type TEXT NOT NULL,
    task_queue TEXT NOT NULL,
    status INTEGER NOT NULL,
    start_time INTEGER NOT NULL,
    execution_time INTEGER NOT NULL,
    close_time INTEGER NOT NULL,
    history_length INTEGER NOT NULL,
    history_size INTEGER NOT NULL,
    state_transitions INTEGER NOT NULL,
    memo BLOB NOT NULL,
    search_attributes BLOB NOT NULL,
    parent_workflow_id TEXT NOT NULL,
    parent_run_id TEXT NOT NULL,
    root_workflow_id TEXT NOT NULL,
    root_run_id TEXT NOT NULL,
    division TEXT -- TemporalNamespaceDivision
);
-- Nearly every filter asks for one division, or for none: each of these indexes has it, so that no row is read for it.
CREATE INDEX visibility_all ON visibility
    (namespace_id, division, order_time DESC, start_time DESC, run_id);
CREATE INDEX visibility_status ON visibility
    (namespace_id, status, order_time DESC, start_time DESC, run_id, division);
CREATE INDEX visibility_workflow ON visibility
    (namespace_id, workflow_id, order_time DESC, start_time DESC, run_id, division);
CREATE INDEX visibility_type ON visibility
    (namespace_id, workflow_type, order_time DESC, start_time DESC, run_id, division);
CREATE INDEX visibility_run ON visibility (run_id);
CREATE INDEX visibility_parent ON visibility (namespace_id, parent_workflow_id) WHERE parent_workflow_id != '';
-- Values of search attributes that are no columns above: store.visibility_terms.
CREATE TABLE search_attribute (
    run_key INTEGER NOT NULL,
    name TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    namespace_id TEXT NOT NULL,
    text TEXT,
    number NUMERIC,
    PRIMARY KEY (run_key, name, ordinal)
) WITHOUT ROWID;
CREATE INDEX search_attribute_text ON search_attribute (namespace_id, name, text) WHERE text IS NOT NULL;
CREATE INDEX search_attribute_number ON search_attribute (namespace_id, name, number) WHERE number IS NOT NULL;

CREATE TABLE schedules (
    run_key INTEGER NOT NULL UNIQUE,
    namespace_id TEXT NOT NULL,
    schedule_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    busy INTEGER NOT NULL,
    due INTEGER NOT NULL,
    delete_at INTEGER,
    record BLOB NOT NULL,
    PRIMARY KEY (namespace_id, schedule_id)
);
CREATE INDEX schedules_busy ON schedules (namespace_id) WHERE busy AND delete_at IS NULL;
CREATE INDEX schedules_due ON schedules (namespace_id, due) WHERE due > 0;
CREATE INDEX schedules_delete_at ON schedules (delete_at) WHERE delete_at IS NOT NULL;

CREATE TABLE replication_log (
    namespace_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    branch_id INTEGER,
    first_event_id INTEGER,
    new_run_branch_id INTEGER,
    new_run_first_event_id INTEGER,
    payload BLOB NOT NULL,
    PRIMARY KEY (namespace_id, position)
) WITHOUT ROWID;
CREATE TABLE log_trimmed (namespace_id TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE positions (
    namespace_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    peer TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (namespace_id, direction, peer)
) WITHOUT ROWID;

-- Runs that a user deleted, for as long as peers may still tell of them: store.deletions.
CREATE TABLE deletions (
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    forget_at INTEGER NOT NULL,
    histories BLOB NOT NULL,
    PRIMARY KEY (namespace_id, workflow_id, run_id)
) WITHOUT ROWID;
CREATE INDEX deletions_forget_at ON deletions (forget_at);

-- Replicas that joined a namespace and do not have its runs yet: store.fills.
CREATE TABLE fills (
    namespace_id TEXT PRIMARY KEY,
    peers TEXT NOT NULL,
    after_key INTEGER NOT NULL,
    until_key INTEGER
) WITHOUT ROWID;

CREATE TABLE parked (
    parked_id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    source TEXT NOT NULL,
    position INTEGER NOT NULL,
    parked_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    task BLOB NOT NULL,
    UNIQUE (namespace_id, source, position)
);
CREATE INDEX parked_run ON parked (namespace_id, workflow_id, run_id);

CREATE TABLE dead_letters (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    source TEXT NOT NULL,
    position INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    task BLOB NOT NULL,
    UNIQUE (namespace_id, source, position)
);
"""

# Which custom search attributes a run has, in the index that lists are read by: store.visibility_terms.
# Of a run that was there before it names predefined ones too: nobody asks for those.
_V2 = """
ALTER TABLE visibility ADD COLUMN custom TEXT NOT NULL DEFAULT '';
UPDATE visibility SET custom = (
    SELECT coalesce(group_concat(
        char(10) || name || CASE WHEN text IS NULL THEN ' number' ELSE ' text' END || char(10), ''), '')
    FROM search_attribute s WHERE s.run_key = visibility.run_key AND s.ordinal = 0
);
DROP INDEX visibility_all;
CREATE INDEX visibility_all ON visibility
    (namespace_id, division, order_time DESC, start_time DESC, run_id, custom);
"""

MIGRATIONS = (_V1, _V2)


def version(connection: sqlite3.Connection) -> int:
    """The file's schema version; 0 for a new file."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def check(connection: sqlite3.Connection, name: str) -> None:
    """Raises StartupError when the file is no region's, or was written by a newer mockcloud."""
    try:
        found = version(connection)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise StartupError(f"{name} cannot be read: {error}") from error
    if application != APPLICATION_ID and (found or objects):
        raise StartupError(f"{name} is not a mockcloud database")
    if found > len(MIGRATIONS):
        raise StartupError(
            f"{name} was written by a newer mockcloud:"
            f" it has schema {found}, this one knows {len(MIGRATIONS)}"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the current schema, each step in a transaction of its own; a new one in one."""
    found = version(connection)
    steps = [_step(number, script) for number, script in enumerate(MIGRATIONS[found:], start=found + 1)]
    if found == 0:
        fill_blank(connection, "".join(steps))
    else:
        for step in steps:
            connection.executescript(step)


def _step(number: int, script: str) -> str:
    return (
        f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {script};"
        f" PRAGMA user_version = {number}; COMMIT;"
    )
