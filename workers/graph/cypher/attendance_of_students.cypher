UNWIND $rows AS row
MATCH (s:Student {tenant_id: row.tenant_id, id: row.id})-[a:ATTENDED]->(p:PracticeSession)
RETURN s.tenant_id AS tenant_id, s.id AS student_id, p.id AS session_id,
       a.responses AS responses, a.correct AS correct, a.version AS version
ORDER BY tenant_id, student_id, session_id
