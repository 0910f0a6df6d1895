"""The scheme of the database, as the steps that lead to it. A step is never changed, only added."""

from __future__ import annotations

MIGRATIONS = (
    """
    CREATE TABLE namespaces (
        name TEXT PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, key TEXT NOT NULL, created INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE codes (digest TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;

    CREATE TABLE action_versions (
        revision INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL, package TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
        document TEXT NOT NULL, code TEXT REFERENCES codes (digest), updated INTEGER NOT NULL,
        init_ms INTEGER, failure TEXT
    ) STRICT;
    CREATE INDEX versions_of_action ON action_versions (namespace, package, name, revision);
    CREATE INDEX versions_of_code ON action_versions (code);

    CREATE TABLE actions (
        namespace TEXT NOT NULL, package TEXT NOT NULL, name TEXT NOT NULL,
        revision INTEGER NOT NULL REFERENCES action_versions (revision),
        PRIMARY KEY (namespace, package, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE entities (
        kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
        document TEXT NOT NULL, updated INTEGER NOT NULL,
        PRIMARY KEY (kind, namespace, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE activations (
        id TEXT PRIMARY KEY, namespace TEXT NOT NULL, package TEXT NOT NULL, name TEXT NOT NULL,
        start INTEGER NOT NULL, duration INTEGER NOT NULL, status INTEGER NOT NULL,
        wait INTEGER NOT NULL, init INTEGER, revision INTEGER, cause TEXT,
        document TEXT NOT NULL, logs TEXT NOT NULL, event TEXT NOT NULL
    ) STRICT;
    CREATE INDEX activations_by_time ON activations (namespace, start);
    CREATE INDEX activations_by_name ON activations (namespace, name, start);
    CREATE INDEX activations_by_age ON activations (start);

    CREATE TABLE accepted (id TEXT PRIMARY KEY, activation TEXT NOT NULL) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE INDEX activations_of_action
        ON activations (namespace, package, name, start, duration, status);

    CREATE TABLE import_profiles (
        digest TEXT NOT NULL REFERENCES codes (digest) ON DELETE CASCADE, main TEXT NOT NULL,
        document TEXT NOT NULL, PRIMARY KEY (digest, main)
    ) STRICT, WITHOUT ROWID;
    """,
)
