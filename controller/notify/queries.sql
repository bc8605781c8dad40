-- What the notifier, and those who manage webhooks and contacts, ask of the store.

-- name: notices_of
SELECT id, kind, at, slack_s, text FROM notices
WHERE subscription_id = :subscription_id AND (at < :at OR (at = :at AND id < :id))
ORDER BY at DESC, id DESC LIMIT :limit

-- name: unsorted
SELECT id, subscription_id, at FROM notices WHERE sorted = 0 ORDER BY at, id LIMIT :limit

-- name: letters_to_endpoints
INSERT INTO letters
    (id, notice_id, addressee_id, channel, lane, state, attempts, due_at, changed_at, reason)
SELECT :notice_id || '@' || id, :notice_id, id, 'webhook', lane, 'waiting', 0, :at, :at, ''
FROM endpoints WHERE subscription_id = :subscription_id AND state = 'active'
ON CONFLICT (id) DO NOTHING

-- name: letters_to_contacts
INSERT INTO letters
    (id, notice_id, addressee_id, channel, lane, state, attempts, due_at, changed_at, reason)
SELECT :notice_id || '@' || id, :notice_id, id, 'mail', 'mail', 'waiting', 0, :at, :at, ''
FROM contacts WHERE subscription_id = :subscription_id AND state = 'confirmed'
ON CONFLICT (id) DO NOTHING

-- name: mark_sorted
UPDATE notices SET sorted = 1 WHERE id = :id

-- name: due_lanes
-- One row for each lane that has a letter due, read by skipping through the index, so a lane with very
-- many letters costs no more than one with few.
WITH RECURSIVE lanes (lane) AS (
    SELECT MIN(lane) FROM letters WHERE state = 'waiting'
    UNION ALL
    SELECT (SELECT MIN(l.lane) FROM letters AS l WHERE l.state = 'waiting' AND l.lane > lanes.lane)
    FROM lanes WHERE lanes.lane IS NOT NULL
), firsts (lane, due_at) AS (
    SELECT lane,
        (SELECT MIN(l.due_at) FROM letters AS l WHERE l.state = 'waiting' AND l.lane = lanes.lane)
    FROM lanes WHERE lane IS NOT NULL
)
SELECT lane FROM firsts WHERE due_at <= :now ORDER BY due_at, lane LIMIT :limit

-- name: due_in_lane
SELECT l.due_at, l.id, l.lane, l.attempts, l.channel, l.addressee_id,
    n.document, e.url, e.secrets, c.subscription_id, c.address
FROM letters AS l
LEFT JOIN notices AS n ON n.id = l.notice_id
LEFT JOIN endpoints AS e ON e.id = l.addressee_id AND l.channel = 'webhook'
LEFT JOIN contacts AS c ON c.id = l.addressee_id AND l.channel = 'mail'
WHERE l.state = 'waiting' AND l.lane = :lane AND l.due_at <= :now
ORDER BY l.due_at, l.id LIMIT :lane_max

-- name: record
UPDATE letters
SET state = :state, attempts = :attempts, due_at = :due_at, changed_at = :at, reason = :reason
WHERE id = :id

-- name: disable_endpoint
UPDATE endpoints SET state = 'disabled', reason = :reason, changed_at = :at
WHERE id = :id AND state = 'active'

-- name: letters_die
UPDATE letters SET state = 'dead', reason = :reason, changed_at = :at
WHERE addressee_id = :addressee_id AND state = 'waiting'

-- name: drop_settled
DELETE FROM letters WHERE id IN (
    SELECT id FROM letters WHERE state = 'settled' AND changed_at < :before
    ORDER BY changed_at, id LIMIT :limit
)

-- name: drop_told
DELETE FROM notices WHERE id IN (
    SELECT n.id FROM notices AS n
    WHERE n.sorted = 1 AND n.at < :before
        AND NOT EXISTS (SELECT 1 FROM letters AS l WHERE l.notice_id = n.id)
    LIMIT :limit
)

-- name: dead
SELECT l.id, l.notice_id, l.addressee_id, l.channel, l.attempts, l.changed_at, l.reason,
    COALESCE(e.subscription_id, c.subscription_id, ''), COALESCE(e.url, c.address, '')
FROM letters AS l
LEFT JOIN endpoints AS e ON e.id = l.addressee_id AND l.channel = 'webhook'
LEFT JOIN contacts AS c ON c.id = l.addressee_id AND l.channel = 'mail'
WHERE l.state = 'dead' AND l.id > :after
ORDER BY l.id LIMIT :limit

-- name: send_again
UPDATE letters SET state = 'waiting', attempts = 0, due_at = :now, changed_at = :now, reason = ''
WHERE id = :id AND state = 'dead' AND (
    EXISTS (SELECT 1 FROM endpoints AS e WHERE e.id = addressee_id AND e.state = 'active')
    OR EXISTS (SELECT 1 FROM contacts AS c WHERE c.id = addressee_id AND c.state <> 'unsubscribed')
)

-- name: add_endpoint
INSERT INTO endpoints
    (id, subscription_id, url, lane, secrets, state, reason, made_at, changed_at)
VALUES (:id, :subscription_id, :url, :lane, :secrets, 'active', '', :now, :now)

-- name: endpoints_of
SELECT id, subscription_id, url, state, reason, made_at, changed_at, secrets FROM endpoints
WHERE subscription_id = :subscription_id ORDER BY id

-- name: endpoint
SELECT id, subscription_id, url, state, reason, made_at, changed_at, secrets FROM endpoints
WHERE id = :id

-- name: enable_endpoint
UPDATE endpoints SET state = 'active', reason = '', changed_at = :now WHERE id = :id

-- name: set_secrets
UPDATE endpoints SET secrets = :secrets, changed_at = :now WHERE id = :id

-- name: drop_endpoint
DELETE FROM endpoints WHERE id = :id

-- name: drop_letters_to
DELETE FROM letters WHERE addressee_id = :addressee_id

-- name: add_contact
INSERT INTO contacts
    (id, subscription_id, address, state, made_at, changed_at, asked_at)
VALUES (:id, :subscription_id, :address, 'pending', :now, :now, :now)

-- name: contact
SELECT id, subscription_id, address, state, made_at, changed_at, asked_at FROM contacts
WHERE subscription_id = :subscription_id AND address = :address

-- name: contacts_of
SELECT id, subscription_id, address, state, made_at, changed_at, asked_at FROM contacts
WHERE subscription_id = :subscription_id ORDER BY id

-- name: ask_again
UPDATE contacts SET state = 'pending', changed_at = :now, asked_at = :now WHERE id = :id

-- name: add_question
INSERT INTO letters
    (id, notice_id, addressee_id, channel, lane, state, attempts, due_at, changed_at, reason)
VALUES (:id, '', :addressee_id, 'mail', 'mail', 'waiting', 0, :now, :now, '')
ON CONFLICT (id) DO NOTHING

-- name: set_contact
UPDATE contacts SET state = :state, changed_at = :now
WHERE id = :id AND address = :address AND state IN (:before, :state)

-- name: drop_contact
DELETE FROM contacts WHERE id = :id

-- name: add_key
INSERT INTO signing_keys (name, content) VALUES ('links', :content) ON CONFLICT (name) DO NOTHING

-- name: key
SELECT content FROM signing_keys WHERE name = 'links'
