// Concepts whose prerequisites are all mastered, one of them as a row says, and that are neither
// mastered nor noted as unlocked.
UNWIND $rows AS row
MATCH (s:Student {tenant_id: row.tenant_id, id: row.student_id})
      -[m:HAS_MASTERY]->(p:Concept {tenant_id: row.tenant_id, id: row.concept_id})
WHERE m.mastered
MATCH (p)-[:PREREQUISITE_OF]->(c:Concept {tenant_id: row.tenant_id})
WHERE NOT EXISTS { MATCH (s)-[:UNLOCKED]->(c) }
  AND NOT EXISTS { MATCH (s)-[o:HAS_MASTERY]->(c) WHERE o.mastered }
MATCH (q:Concept {tenant_id: row.tenant_id})-[:PREREQUISITE_OF]->(c)
OPTIONAL MATCH (s)-[h:HAS_MASTERY]->(q)
WITH s, p, c, collect(DISTINCT q.id) AS prerequisites,
     min(CASE WHEN coalesce(h.mastered, false) THEN 1 ELSE 0 END) AS ready
WHERE ready = 1
RETURN s.tenant_id AS tenant_id, s.id AS student_id, c.id AS concept_id, p.id AS unlocked_by,
       prerequisites
