UNWIND $rows AS row
MATCH (s:Student {tenant_id: row.tenant_id, id: row.id})-[h:HAS_ABILITY]->(a:Scale)
RETURN s.tenant_id AS tenant_id, s.id AS student_id, a.id AS scale,
       h.theta AS theta, h.standard_error AS standard_error, h.version AS version
ORDER BY tenant_id, student_id, scale
