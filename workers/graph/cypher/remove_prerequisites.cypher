UNWIND $rows AS row
MATCH (p:Concept)-[r:PREREQUISITE_OF]->(:Concept {tenant_id: row.tenant_id, id: row.id})
WHERE p.tenant_id <> row.tenant_id OR NOT p.id IN row.keep
DELETE r
