MATCH (n:Student)
WHERE n.tenant_id = $tenant_id AND n.id > $after
RETURN n.tenant_id AS tenant_id, n.id AS id
ORDER BY id
LIMIT $limit
