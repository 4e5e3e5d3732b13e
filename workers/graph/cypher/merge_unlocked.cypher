UNWIND $rows AS row
MATCH (s:Student {tenant_id: row.tenant_id, id: row.student_id})
MATCH (c:Concept {tenant_id: row.tenant_id, id: row.concept_id})
MERGE (s)-[u:UNLOCKED]->(c)
ON CREATE SET u.unlocked_by = row.unlocked_by,
              u.prerequisites = row.prerequisites,
              u.`by` = row.`by`,
              u.entry = row.entry,
              u.version = row.version,
              u.at = row.at
