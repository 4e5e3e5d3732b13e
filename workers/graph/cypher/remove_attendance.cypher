// Only the relationship that was read: what came in between stays, and is looked at again.
UNWIND $rows AS row
MATCH (:Student {tenant_id: row.tenant_id, id: row.student_id})
      -[r:ATTENDED]->(:PracticeSession {id: row.session_id})
WHERE coalesce(r.version, 0) = row.seen
DELETE r
