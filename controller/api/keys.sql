-- Statements about the keys of the API. The name stands above each.

-- name: add_key
INSERT INTO api_keys (id, owner, digest, scopes, made_at, used_at, revoked_at)
VALUES (:id, :owner, :digest, :scopes, :at, NULL, NULL)

-- name: find_key
SELECT id, owner, digest, scopes, made_at, used_at, revoked_at FROM api_keys WHERE id = :id

-- name: list_keys
SELECT id, owner, digest, scopes, made_at, used_at, revoked_at FROM api_keys
ORDER BY made_at, id LIMIT :count

-- name: count_keys
SELECT COUNT(*) FROM api_keys

-- name: revoke_key
UPDATE api_keys SET revoked_at = :at WHERE id = :id AND revoked_at IS NULL

-- name: use_key
UPDATE api_keys SET used_at = :at WHERE id = :id
