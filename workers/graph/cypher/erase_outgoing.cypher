// All but what was written since; another program's relationships have no version.
UNWIND $rows AS row
MATCH (:Student {tenant_id: row.tenant_id, id: row.id})-[r]->()
WHERE coalesce(r.version, 0) <= row.version
DELETE r
