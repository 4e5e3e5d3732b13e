UNWIND $rows AS row
MATCH (s:Student {tenant_id: row.tenant_id, id: row.student_id})
MATCH (p:PracticeSession {tenant_id: row.tenant_id, id: row.session_id})
MERGE (s)-[a:ATTENDED]->(p)
WITH a, row
WHERE coalesce(a.version, 0) < row.version
SET a.responses = row.responses,
    a.correct = row.correct,
    a.version = row.version
