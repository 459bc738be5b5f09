-- For which paths a key is accepted. A program that does not know of it must not open the database: it would accept the key everywhere.
ALTER TABLE keyward_keys ADD COLUMN resource_pattern TEXT;
