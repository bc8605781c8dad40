-- What subscribers are told, to whom, and how far that has come.

-- Each notice once; `document` is controller.notify.notices.Notice as JSON.
CREATE TABLE notices (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    subscription_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    product_id TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    slack_s DOUBLE PRECISION,
    text TEXT NOT NULL,
    document TEXT NOT NULL,
    sorted INTEGER NOT NULL
);
CREATE INDEX notices_unsorted ON notices (at, id) WHERE sorted = 0;
CREATE INDEX notices_by_subscription ON notices (subscription_id, at, id);

-- Webhooks. `lane` is the host that takes what is sent; `secrets` are apart by spaces, newest first.
CREATE TABLE endpoints (
    id TEXT PRIMARY KEY,
    subscription_id TEXT NOT NULL,
    url TEXT NOT NULL,
    lane TEXT NOT NULL,
    secrets TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    made_at DOUBLE PRECISION NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX endpoints_by_subscription ON endpoints (subscription_id, id);

-- People's addresses; only a confirmed one is told anything.
CREATE TABLE contacts (
    id TEXT PRIMARY KEY,
    subscription_id TEXT NOT NULL,
    address TEXT NOT NULL,
    state TEXT NOT NULL,
    made_at DOUBLE PRECISION NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL,
    asked_at DOUBLE PRECISION NOT NULL,
    UNIQUE (subscription_id, address)
);

-- A notice for one addressee. Without a notice it asks a contact whether it wants any.
CREATE TABLE letters (
    id TEXT PRIMARY KEY,
    notice_id TEXT NOT NULL,
    addressee_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at DOUBLE PRECISION NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX letters_waiting ON letters (lane, due_at, id) WHERE state = 'waiting';
CREATE INDEX letters_settled ON letters (changed_at, id) WHERE state = 'settled';
CREATE INDEX letters_dead ON letters (id) WHERE state = 'dead';
CREATE INDEX letters_by_addressee ON letters (addressee_id, state);
CREATE INDEX letters_by_notice ON letters (notice_id);

-- What signs the links of e-mails, in base64: in the store, so that a service that takes over knows it.
CREATE TABLE signing_keys (
    name TEXT PRIMARY KEY,
    content TEXT NOT NULL
);
