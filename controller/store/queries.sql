-- Every statement that the service gives its store. The name stands above each.

-- name: beat
UPDATE lease SET beat = beat + 1 WHERE epoch = :epoch

-- name: read_lease
SELECT epoch, holder, beat FROM lease

-- name: take_lease
UPDATE lease SET epoch = epoch + 1, holder = :holder, beat = beat + 1 WHERE epoch = :epoch

-- name: add_line
INSERT INTO journal (seq, line) VALUES (:seq, :line)

-- name: lines_after
SELECT seq, line FROM journal WHERE seq > :seq ORDER BY seq

-- name: last_line
SELECT COALESCE(MAX(seq), 0) FROM journal

-- name: newest_line
SELECT seq, line FROM journal ORDER BY seq DESC LIMIT 1

-- name: newest_snapshot
SELECT COALESCE(MAX(taken_at), 0) FROM snapshots

-- name: add_header
INSERT INTO headers (seq, header) VALUES (:seq, :header)
ON CONFLICT (seq) DO UPDATE SET header = excluded.header

-- name: last_header
SELECT seq, header FROM headers WHERE seq <= :seq ORDER BY seq DESC LIMIT 1

-- name: add_snapshot_piece
INSERT INTO snapshot_pieces (seq, number, content) VALUES (:seq, :number, :content)
ON CONFLICT (seq, number) DO UPDATE SET content = excluded.content

-- name: add_snapshot
INSERT INTO snapshots (seq, build, taken_at) VALUES (:seq, :build, :taken_at)
ON CONFLICT (seq) DO UPDATE SET build = excluded.build, taken_at = excluded.taken_at

-- name: last_snapshot
SELECT seq, build FROM snapshots ORDER BY seq DESC LIMIT 1

-- name: snapshot_pieces
SELECT content FROM snapshot_pieces WHERE seq = :seq ORDER BY number

-- name: drop_snapshots_before
DELETE FROM snapshots WHERE seq < :seq

-- name: drop_pieces_before
DELETE FROM snapshot_pieces WHERE seq < :seq

-- name: drop_lines
DELETE FROM journal WHERE seq > :after AND seq <= :upto

-- name: add_message
INSERT INTO inbox (id, taken_at) VALUES (:id, :taken_at)

-- name: find_message
SELECT 1 FROM inbox WHERE id = :id

-- name: find_messages
SELECT id FROM inbox WHERE id IN (:ids)

-- name: forget_messages
DELETE FROM inbox WHERE taken_at < :before

-- name: open_command
INSERT INTO outbox (key, place, command) VALUES (:key, :place, :command)
ON CONFLICT (key) DO UPDATE SET place = excluded.place, command = excluded.command

-- name: settle_command
DELETE FROM outbox WHERE key = :key

-- name: open_commands
SELECT key, command FROM outbox WHERE place >= :first ORDER BY place

-- name: keep_former_subscription
INSERT INTO former_subscriptions (key, from_seq, until_seq, covered, document)
SELECT key, from_seq, CAST(:seq AS BIGINT), covered, document FROM subscriptions
WHERE id = :id AND from_seq < :seq

-- name: put_subscription
INSERT INTO subscriptions
    (id, version, owner, paused, document, made_at, changed_at, key, from_seq, covered)
VALUES (:id, :version, :owner, :paused, :document, :at, :at, :key, :seq, :covered)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, owner = excluded.owner,
    paused = excluded.paused, document = excluded.document, changed_at = excluded.changed_at,
    key = excluded.key, from_seq = excluded.from_seq, covered = excluded.covered

-- name: remove_subscription
DELETE FROM subscriptions WHERE id = :id

-- name: number_subscription
UPDATE subscriptions SET key = :key, from_seq = :seq, covered = :covered WHERE id = :id

-- name: subscriptions_at
SELECT key, covered, document FROM subscriptions WHERE key > :after AND from_seq <= :seq
UNION ALL
SELECT key, covered, document FROM former_subscriptions
WHERE key > :after AND from_seq <= :seq AND until_seq > :seq
ORDER BY key LIMIT :count

-- name: count_subscriptions_at
SELECT
    (SELECT COUNT(*) FROM subscriptions WHERE key >= 0 AND from_seq <= :seq)
    + (SELECT COUNT(*) FROM former_subscriptions WHERE from_seq <= :seq AND until_seq > :seq)

-- name: former_subscriptions_until
SELECT key, from_seq FROM former_subscriptions WHERE until_seq <= :seq LIMIT :count

-- name: drop_former_subscription
DELETE FROM former_subscriptions WHERE key = :key AND from_seq = :from_seq

-- name: one_subscription
SELECT id, version, owner, paused, document, made_at, changed_at FROM subscriptions WHERE id = :id

-- name: list_subscriptions
SELECT id, version, owner, paused, document, made_at, changed_at FROM subscriptions
WHERE id > :after AND (:owner = '' OR owner = :owner) ORDER BY id LIMIT :count

-- name: put_update
INSERT INTO updates (dataset, number, at, profiles) VALUES (:dataset, :number, :at, :profiles)
ON CONFLICT (dataset, number) DO NOTHING

-- name: list_updates
SELECT dataset, number, at, profiles FROM updates
WHERE (dataset, number) > (:dataset, :number) ORDER BY dataset, number LIMIT :count

-- name: put_task
INSERT INTO tasks (id, place, subscription_id, owner, product_id, state, arrived_at, deadline_at,
    ended_at, slack_s, parts, parts_done, worker_s, cost, product_rows, size_bytes, sha256, digest,
    manifest_url, file, text)
VALUES (:id, :place, :subscription_id, :owner, :product_id, :state, :arrived_at, :deadline_at,
    :ended_at, :slack_s, :parts, :parts_done, :worker_s, :cost, :product_rows, :size_bytes, :sha256,
    :digest, :manifest_url, :file, :text)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at,
    slack_s = excluded.slack_s, parts = excluded.parts, parts_done = excluded.parts_done,
    worker_s = excluded.worker_s, cost = excluded.cost, product_rows = excluded.product_rows,
    size_bytes = excluded.size_bytes, sha256 = excluded.sha256, digest = excluded.digest,
    manifest_url = excluded.manifest_url, file = excluded.file, text = excluded.text

-- name: open_tasks
SELECT id, place, subscription_id, owner, product_id, state, arrived_at, deadline_at, ended_at,
    slack_s, parts, parts_done, worker_s, cost, product_rows, size_bytes, sha256, digest,
    manifest_url, file, text
FROM tasks WHERE ended_at IS NULL ORDER BY place

-- name: open_products
SELECT id, product_id FROM tasks WHERE ended_at IS NULL

-- name: list_tasks
SELECT id, place, subscription_id, owner, product_id, state, arrived_at, deadline_at, ended_at,
    slack_s, parts, parts_done, worker_s, cost, product_rows, size_bytes, sha256, digest,
    manifest_url, file, text
FROM tasks
WHERE place > :after AND (:owner = '' OR owner = :owner)
    AND (:subscription_id = '' OR subscription_id = :subscription_id)
    AND (:open_only = 0 OR ended_at IS NULL)
    AND (:delivered_only = 0 OR manifest_url <> '')
ORDER BY place LIMIT :count

-- name: one_task
SELECT id, place, subscription_id, owner, product_id, state, arrived_at, deadline_at, ended_at,
    slack_s, parts, parts_done, worker_s, cost, product_rows, size_bytes, sha256, digest,
    manifest_url, file, text
FROM tasks WHERE id = :id

-- name: account
SELECT COUNT(*), COALESCE(SUM(worker_s), 0), COALESCE(SUM(cost), 0), COALESCE(SUM(size_bytes), 0)
FROM tasks WHERE subscription_id = :subscription_id

-- name: put_node
INSERT INTO nodes (id, node_type, state, workers, requested_at, ready_at, gone_at, reason)
VALUES (:id, :node_type, :state, :workers, :requested_at, :ready_at, :gone_at, :reason)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, workers = excluded.workers,
    ready_at = excluded.ready_at, gone_at = excluded.gone_at, reason = excluded.reason

-- name: list_nodes
SELECT id, node_type, state, workers, requested_at, ready_at, gone_at, reason FROM nodes
WHERE (:standing_only = 0 OR gone_at IS NULL)
    AND (requested_at < :before OR (requested_at = :before AND id > :after))
ORDER BY requested_at DESC, id LIMIT :count

-- name: one_node
SELECT id, node_type, state, workers, requested_at, ready_at, gone_at, reason FROM nodes
WHERE id = :id

-- name: add_decision
INSERT INTO decisions (place, at, action, node_id, reason)
VALUES (:place, :at, :action, :node_id, :reason)

-- name: list_decisions
SELECT place, at, action, node_id, reason FROM decisions
WHERE place < :before ORDER BY place DESC LIMIT :count

-- name: add_notice
INSERT INTO notices
    (id, kind, subscription_id, task_id, product_id, at, slack_s, text, document, sorted)
VALUES
    (:id, :kind, :subscription_id, :task_id, :product_id, :at, :slack_s, :text, :document, 0)
ON CONFLICT (id) DO NOTHING
