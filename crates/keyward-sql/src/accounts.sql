-- Accounts and sessions. The tables of the first version were never written to by any program, and are made anew.
DROP TABLE keyward_sessions;
DROP TABLE keyward_accounts;

-- Apart from keyward_store: who signs in neither waits for a change of keys nor makes anybody read keys again.
CREATE TABLE keyward_account_store (
    one        INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    journalled INTEGER NOT NULL  -- the number of the latest change
) STRICT;
INSERT INTO keyward_account_store (one, journalled) VALUES (1, 0);

CREATE TABLE keyward_accounts (
    id          TEXT    NOT NULL PRIMARY KEY,
    address     TEXT    NOT NULL CHECK (address = lower(address)),
    first_name  TEXT    NOT NULL,
    last_name   TEXT    NOT NULL,
    password    TEXT    NOT NULL,  -- an Argon2id hash as a PHC string
    is_admin    INTEGER NOT NULL,  -- 0 or 1
    is_disabled INTEGER NOT NULL,  -- 0 or 1
    created     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX keyward_accounts_address ON keyward_accounts (address);

-- Of a session's token there is the SHA-256 alone.
CREATE TABLE keyward_sessions (
    digest     BLOB    NOT NULL PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES keyward_accounts (id) ON DELETE CASCADE,
    created    INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    network    TEXT,              -- the first 24 bits of an IPv4 address, 48 of an IPv6 one
    agent      TEXT    NOT NULL
) STRICT;
CREATE INDEX keyward_sessions_account ON keyward_sessions (account_id);
-- For the sweep.
CREATE INDEX keyward_sessions_expires ON keyward_sessions (expires);
CREATE INDEX keyward_sessions_last_seen ON keyward_sessions (last_seen);

CREATE TABLE keyward_account_journal (
    number         INTEGER NOT NULL PRIMARY KEY,
    made_at        INTEGER NOT NULL,
    actor          TEXT    NOT NULL,
    action         TEXT    NOT NULL,
    account_id     TEXT    NOT NULL,
    account_before TEXT,
    account_after  TEXT
) STRICT;
