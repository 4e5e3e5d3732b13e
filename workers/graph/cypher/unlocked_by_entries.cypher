UNWIND $rows AS row
MATCH (s:Student {tenant_id: row.tenant_id, id: row.student_id})-[u:UNLOCKED]->(c:Concept)
WHERE u.entry IN row.entries
RETURN s.tenant_id AS tenant_id, s.id AS student_id, c.id AS concept_id,
       u.unlocked_by AS unlocked_by, u.prerequisites AS prerequisites, u.`by` AS `by`,
       u.entry AS entry, u.version AS version, u.at AS at
ORDER BY tenant_id, student_id, concept_id
