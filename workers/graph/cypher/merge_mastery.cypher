UNWIND $rows AS row
MATCH (s:Student {tenant_id: row.tenant_id, id: row.student_id})
MATCH (c:Concept {tenant_id: row.tenant_id, id: row.concept_id})
MERGE (s)-[m:HAS_MASTERY]->(c)
WITH m, row
WHERE coalesce(m.version, 0) < row.version
SET m.mastery = row.mastery,
    m.attempts = row.attempts,
    m.mastered = row.mastered,
    m.answered_at = row.answered_at,
    m.version = row.version
