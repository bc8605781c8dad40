-- The service's memory. Types are those that SQLite and PostgreSQL both know.

-- Who may write: each service that takes the store over counts the epoch up, and so fences the last.
CREATE TABLE lease (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    epoch BIGINT NOT NULL,
    holder TEXT NOT NULL,
    beat BIGINT NOT NULL
);
INSERT INTO lease (only_one, epoch, holder, beat) VALUES (1, 0, '', 0);

-- Each step that changed something: the event and its commands, as a line of the journal's format.
CREATE TABLE journal (
    seq BIGINT PRIMARY KEY,
    line TEXT NOT NULL
);

-- Under which build and settings the planner began; from then on all is events.
CREATE TABLE headers (
    seq BIGINT PRIMARY KEY,
    header TEXT NOT NULL
);

-- The planner's state after a step. Its pieces are written one by one, so that none of them holds
-- up the loop for long; it counts when its row is there, which comes last.
CREATE TABLE snapshots (
    seq BIGINT PRIMARY KEY,
    build TEXT NOT NULL,
    taken_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE snapshot_pieces (
    seq BIGINT NOT NULL,
    number INTEGER NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (seq, number)
);

-- Messages from outside that were taken in, so that a repeated one changes nothing.
CREATE TABLE inbox (
    id TEXT PRIMARY KEY,
    taken_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX inbox_by_time ON inbox (taken_at);

-- Commands whose outcome is not known yet: what a restart carries out again.
CREATE TABLE outbox (
    key TEXT PRIMARY KEY,
    place BIGINT NOT NULL,
    command TEXT NOT NULL
);

-- What listings show. All of it follows from the journal.
CREATE TABLE subscriptions (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    owner TEXT NOT NULL,
    paused INTEGER NOT NULL,
    document TEXT NOT NULL,
    made_at DOUBLE PRECISION NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX subscriptions_by_owner ON subscriptions (owner, id);

CREATE TABLE updates (
    dataset TEXT NOT NULL,
    number BIGINT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    profiles BIGINT,
    PRIMARY KEY (dataset, number)
);

CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    place BIGINT NOT NULL,
    subscription_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    product_id TEXT NOT NULL,
    state TEXT NOT NULL,
    arrived_at DOUBLE PRECISION NOT NULL,
    deadline_at DOUBLE PRECISION,
    ended_at DOUBLE PRECISION,
    slack_s DOUBLE PRECISION,
    parts INTEGER NOT NULL,
    parts_done INTEGER NOT NULL,
    worker_s DOUBLE PRECISION NOT NULL,
    cost DOUBLE PRECISION NOT NULL,
    product_rows BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    digest TEXT NOT NULL,
    manifest_url TEXT NOT NULL,
    file TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX tasks_by_place ON tasks (place);
CREATE INDEX tasks_by_subscription ON tasks (subscription_id, place);
CREATE INDEX tasks_by_owner ON tasks (owner, place);
CREATE INDEX tasks_open ON tasks (deadline_at) WHERE ended_at IS NULL;

CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    node_type TEXT NOT NULL,
    state TEXT NOT NULL,
    workers INTEGER NOT NULL,
    requested_at DOUBLE PRECISION NOT NULL,
    ready_at DOUBLE PRECISION,
    gone_at DOUBLE PRECISION,
    reason TEXT NOT NULL
);

CREATE TABLE decisions (
    place BIGINT PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    action TEXT NOT NULL,
    node_id TEXT NOT NULL,
    reason TEXT NOT NULL
);
