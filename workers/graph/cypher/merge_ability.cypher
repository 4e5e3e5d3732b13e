UNWIND $rows AS row
MATCH (s:Student {tenant_id: row.tenant_id, id: row.student_id})
MATCH (a:Scale {tenant_id: row.tenant_id, id: row.scale})
MERGE (s)-[h:HAS_ABILITY]->(a)
WITH h, row
WHERE coalesce(h.version, 0) < row.version
SET h.theta = row.theta,
    h.standard_error = row.standard_error,
    h.version = row.version
