"""The tables of the state file."""

SCHEMA_VERSION = 3

SCHEMA = (
    """
    CREATE TABLE project (
        project_id INTEGER PRIMARY KEY,
        design TEXT NOT NULL,
        design_version INTEGER NOT NULL DEFAULT 1,
        source_digest TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE user (
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        username TEXT NOT NULL,
        token TEXT UNIQUE,
        data_access_group TEXT NOT NULL DEFAULT '',
        role TEXT NOT NULL DEFAULT '',
        rights TEXT NOT NULL DEFAULT '{}',
        expiration TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (project_id, username)
    )
    """,
    """
    CREATE TABLE record (
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        record_id TEXT NOT NULL,
        sort_key TEXT NOT NULL,
        data_access_group TEXT NOT NULL DEFAULT '',
        changed_at TEXT NOT NULL,
        PRIMARY KEY (project_id, record_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE INDEX record_order ON record (project_id, sort_key, record_id)
    """,
    """
    CREATE TABLE row (
        project_id INTEGER NOT NULL,
        record_id TEXT NOT NULL,
        event TEXT NOT NULL,
        instrument TEXT NOT NULL,
        instance INTEGER NOT NULL,
        cells TEXT NOT NULL,
        PRIMARY KEY (project_id, record_id, event, instrument, instance),
        FOREIGN KEY (project_id, record_id) REFERENCES record ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE document (
        document_id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        name TEXT NOT NULL,
        mime_type TEXT NOT NULL,
        has_content INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE document_piece (
        document_id INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
        position INTEGER NOT NULL,
        content BLOB NOT NULL,
        PRIMARY KEY (document_id, position)
    )
    """,
    """
    CREATE TABLE folder (
        folder_id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        parent_id INTEGER REFERENCES folder ON DELETE CASCADE,
        name TEXT NOT NULL,
        data_access_group TEXT NOT NULL DEFAULT '',
        role TEXT NOT NULL DEFAULT ''
    )
    """,
    """
    CREATE TABLE repository_file (
        document_id INTEGER PRIMARY KEY REFERENCES document ON DELETE CASCADE,
        folder_id INTEGER REFERENCES folder ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE log (
        log_id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        at TEXT NOT NULL,
        username TEXT NOT NULL,
        action TEXT NOT NULL,
        details TEXT NOT NULL,
        record_id TEXT NOT NULL,
        event_label TEXT NOT NULL DEFAULT ''
    )
    """,
    """
    CREATE INDEX log_order ON log (project_id, at, log_id)
    """,
    """
    CREATE INDEX log_of_record ON log (project_id, record_id, at)
    """,
    """
    CREATE TABLE randomization (
        randomization_id INTEGER PRIMARY KEY,
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        target_field TEXT NOT NULL,
        target_event TEXT NOT NULL,
        strata_events TEXT NOT NULL,
        is_concealed INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE allocation (
        randomization_id INTEGER NOT NULL REFERENCES randomization ON DELETE CASCADE,
        position INTEGER NOT NULL,
        target TEXT NOT NULL,
        alternate TEXT NOT NULL,
        strata TEXT NOT NULL,
        data_access_group TEXT NOT NULL,
        record_id TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (randomization_id, position)
    ) WITHOUT ROWID
    """,
)
