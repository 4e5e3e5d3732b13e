UNWIND $rows AS row
MATCH (p:Concept {tenant_id: row.tenant_id})
      -[:PREREQUISITE_OF]->(c:Concept {tenant_id: row.tenant_id, id: row.id})
RETURN DISTINCT c.id AS id, p.id AS prerequisite_id
