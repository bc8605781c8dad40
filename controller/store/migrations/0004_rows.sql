-- Subscriptions are what a snapshot leaves out: those of a step are found by their versions.

-- `key` is the order of arrival, `from_seq` the step since which the row stands as it is; `covered`
-- is, as JSON, the last update of each dataset that a paused one was offered, empty for others. Rows
-- of before have no key until a service that begins from the old kind of snapshot has given them one.
ALTER TABLE subscriptions ADD COLUMN key BIGINT NOT NULL DEFAULT -1;
ALTER TABLE subscriptions ADD COLUMN from_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN covered TEXT NOT NULL DEFAULT '';
CREATE INDEX subscriptions_by_key ON subscriptions (key);

-- What a subscription was from one step until before another, as long as a snapshot may ask for it.
CREATE TABLE former_subscriptions (
    key BIGINT NOT NULL,
    from_seq BIGINT NOT NULL,
    until_seq BIGINT NOT NULL,
    covered TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (key, from_seq)
);
