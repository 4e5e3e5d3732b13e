UNWIND $rows AS row
MATCH (s:Student {tenant_id: row.tenant_id, id: row.id})-[m:HAS_MASTERY]->(c:Concept)
RETURN s.tenant_id AS tenant_id, s.id AS student_id, c.id AS concept_id,
       m.mastery AS mastery, m.attempts AS attempts, m.mastered AS mastered,
       m.answered_at AS answered_at, m.version AS version
ORDER BY tenant_id, student_id, concept_id
