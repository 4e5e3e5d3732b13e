UNWIND $rows AS row
MATCH (:PracticeSession {tenant_id: row.tenant_id, id: row.session_id})
      -[r:PRACTISED]->(:Concept {id: row.concept_id})
DELETE r
