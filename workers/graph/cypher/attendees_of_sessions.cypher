UNWIND $rows AS row
MATCH (p:PracticeSession {tenant_id: row.tenant_id, id: row.id})<-[:ATTENDED]-(s:Student)
RETURN p.tenant_id AS tenant_id, p.id AS session_id, s.tenant_id AS student_tenant_id,
       s.id AS student_id
ORDER BY tenant_id, session_id, student_id
