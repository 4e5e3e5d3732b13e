// Merges a whole batch into Neo4j: each node once, its relationships by its place among the nodes
// of its label. Each SET of an id changes nothing but locks the node until the transaction ends:
// without it two transactions could both pass the guard on a version and the older one write last.
UNWIND $rows AS batch
CALL {
  WITH batch
  UNWIND batch.students AS row
  MERGE (n:Student {tenant_id: row[1], id: row[2]})
  SET n.id = row[2]
  WITH row[0] AS place, head(collect(n)) AS n ORDER BY place
  RETURN collect(n) AS students
}
CALL {
  WITH batch
  UNWIND batch.concepts AS row
  MERGE (n:Concept {tenant_id: row[1], id: row[2]})
  WITH row[0] AS place, head(collect(n)) AS n ORDER BY place
  RETURN collect(n) AS concepts
}
CALL {
  WITH batch
  UNWIND batch.scales AS row
  MERGE (n:Scale {tenant_id: row[1], id: row[2]})
  WITH row[0] AS place, head(collect(n)) AS n ORDER BY place
  RETURN collect(n) AS scales
}
CALL {
  WITH batch
  UNWIND batch.sessions AS row
  MERGE (n:PracticeSession {tenant_id: row[1], id: row[2]})
  SET n.id = row[2]
  WITH row[0] AS place, head(collect(n)) AS n ORDER BY place
  RETURN collect(n) AS sessions
}
CALL {
  WITH batch, students, concepts
  UNWIND batch.mastery AS row
  WITH row, students[row[0]] AS s, concepts[row[1]] AS c
  MERGE (s)-[m:HAS_MASTERY]->(c)
  WITH m, row
  WHERE coalesce(m.version, 0) < row[7]
  SET m.mastery = row[2],
      m.attempts = row[3],
      m.mastered = row[4],
      m.answered_at = datetime({epochSeconds: row[5], nanosecond: row[6]}),
      m.version = row[7]
}
CALL {
  WITH batch, students, scales
  UNWIND batch.ability AS row
  WITH row, students[row[0]] AS s, scales[row[1]] AS a
  MERGE (s)-[h:HAS_ABILITY]->(a)
  WITH h, row
  WHERE coalesce(h.version, 0) < row[4]
  SET h.theta = row[2],
      h.standard_error = row[3],
      h.version = row[4]
}
CALL {
  WITH batch, students, sessions
  UNWIND batch.attendance AS row
  WITH row, students[row[0]] AS s, sessions[row[1]] AS p
  MERGE (s)-[a:ATTENDED]->(p)
  WITH a, row
  WHERE coalesce(a.version, 0) < row[4]
  SET a.responses = row[2],
      a.correct = row[3],
      a.version = row[4]
}
CALL {
  WITH batch, sessions, concepts
  UNWIND batch.practised AS row
  WITH sessions[row[0]] AS p, concepts[row[1]] AS c
  MERGE (p)-[:PRACTISED]->(c)
}
