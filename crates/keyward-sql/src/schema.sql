-- Keys, and all that belongs to them. Times are nanoseconds since 1970, lists are JSON, texts have `\` written `\\` and NUL `\0`.

CREATE TABLE keyward_store (
    one              INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version          INTEGER NOT NULL,  -- of this schema
    identity         TEXT    NOT NULL,  -- drawn when the database was made
    revision         INTEGER NOT NULL,  -- of the latest change
    journalled       INTEGER NOT NULL,  -- the number of the latest row of the journal
    revocation_bytes INTEGER NOT NULL   -- how long the file of revocations beside the database was
) STRICT;

CREATE TABLE keyward_keys (
    id             TEXT    NOT NULL PRIMARY KEY,
    revision       INTEGER NOT NULL,  -- in which it was changed last
    name           TEXT    NOT NULL,
    kind           TEXT,
    owner          TEXT,
    scopes         TEXT    NOT NULL,
    created        INTEGER NOT NULL,
    not_before     INTEGER,
    expires        INTEGER,
    revoked        INTEGER,
    disabled       INTEGER NOT NULL,  -- 0 or 1
    networks       TEXT,
    limits         TEXT,
    metadata       TEXT    NOT NULL,
    epoch          BLOB    NOT NULL,
    foreign_prefix BLOB               -- the SHA-256 of the prefix that cannot be bound while this key is used
) STRICT;
CREATE INDEX keyward_keys_revision ON keyward_keys (revision);
CREATE INDEX keyward_keys_owner ON keyward_keys (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX keyward_keys_foreign_prefix ON keyward_keys (foreign_prefix) WHERE foreign_prefix IS NOT NULL;
CREATE INDEX keyward_keys_revoked ON keyward_keys (id) WHERE revoked IS NOT NULL;
CREATE INDEX keyward_keys_revoked_at ON keyward_keys (revoked, id) WHERE revoked IS NOT NULL;
CREATE INDEX keyward_keys_disabled ON keyward_keys (id) WHERE disabled = 1;

-- Every secret that ever was, so that one index keeps any of them from coming twice. A retired one is in no slot.
CREATE TABLE keyward_secrets (
    key_id     TEXT    NOT NULL,
    slot       TEXT    CHECK (slot IN ('current', 'previous')),
    number     INTEGER NOT NULL,
    pepper     INTEGER,  -- 0: plain SHA-256
    digest     BLOB,
    handle     TEXT,
    phc        TEXT,
    prefix     TEXT    NOT NULL,
    grace_ends INTEGER,
    CHECK ((digest IS NULL) = (pepper IS NULL)),
    CHECK ((digest IS NULL) <> (handle IS NULL))
) STRICT;
CREATE UNIQUE INDEX keyward_secrets_digest ON keyward_secrets (digest, pepper);
CREATE UNIQUE INDEX keyward_secrets_handle ON keyward_secrets (handle) WHERE handle IS NOT NULL;
CREATE UNIQUE INDEX keyward_secrets_slot ON keyward_secrets (key_id, slot) WHERE slot IS NOT NULL;
CREATE INDEX keyward_secrets_prefix ON keyward_secrets (prefix, key_id) WHERE slot = 'current';

-- Prefixes of generated keys.
CREATE TABLE keyward_prefixes (
    prefix TEXT NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE
) STRICT;

-- What is done once for a store, ever.
CREATE TABLE keyward_done (
    name    TEXT    NOT NULL PRIMARY KEY,
    done_at INTEGER NOT NULL
) STRICT;

CREATE TABLE keyward_usage (
    key_id    TEXT    NOT NULL REFERENCES keyward_keys (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,  -- of the secret
    count     INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    network   TEXT,
    source    TEXT,
    PRIMARY KEY (key_id, number)
) STRICT;

CREATE TABLE keyward_journal (
    number        INTEGER NOT NULL PRIMARY KEY,
    made_at       INTEGER NOT NULL,
    actor         TEXT    NOT NULL,
    action        TEXT    NOT NULL,
    key_id        TEXT    NOT NULL,
    record_before TEXT,
    record_after  TEXT,
    hash          BLOB  -- of this row and the hash before it, once the journal is chained
) STRICT;

-- People who look after keys, and their sessions.
CREATE TABLE keyward_accounts (
    id         TEXT    NOT NULL PRIMARY KEY,
    address    TEXT    NOT NULL UNIQUE CHECK (address = lower(address)),
    first_name TEXT    NOT NULL,
    last_name  TEXT    NOT NULL,
    password   TEXT    NOT NULL,  -- a PHC string
    is_admin   INTEGER NOT NULL,  -- 0 or 1
    created    INTEGER NOT NULL
) STRICT;
CREATE TABLE keyward_sessions (
    digest     BLOB    NOT NULL PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES keyward_accounts (id) ON DELETE CASCADE,
    created    INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    expires    INTEGER NOT NULL
) STRICT;
CREATE INDEX keyward_sessions_account ON keyward_sessions (account_id);
CREATE INDEX keyward_sessions_expires ON keyward_sessions (expires);
