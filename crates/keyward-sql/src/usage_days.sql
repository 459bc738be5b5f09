-- How often each secret was used on each of the latest days.
CREATE TABLE keyward_usage_days (
    key_id TEXT    NOT NULL REFERENCES keyward_keys (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,  -- of the secret
    day    INTEGER NOT NULL,  -- since 1970
    count  INTEGER NOT NULL,
    PRIMARY KEY (key_id, number, day)
) STRICT;
-- For those that are forgotten.
CREATE INDEX keyward_usage_days_day ON keyward_usage_days (day);
