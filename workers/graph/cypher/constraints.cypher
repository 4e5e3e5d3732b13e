// What Neo4j needs before the first merge: without them MERGE of the same node by two
// transactions makes two nodes.
CREATE CONSTRAINT student_identity IF NOT EXISTS
FOR (n:Student) REQUIRE (n.tenant_id, n.id) IS UNIQUE;

CREATE CONSTRAINT concept_identity IF NOT EXISTS
FOR (n:Concept) REQUIRE (n.tenant_id, n.id) IS UNIQUE;

CREATE CONSTRAINT scale_identity IF NOT EXISTS
FOR (n:Scale) REQUIRE (n.tenant_id, n.id) IS UNIQUE;

CREATE CONSTRAINT practice_session_identity IF NOT EXISTS
FOR (n:PracticeSession) REQUIRE (n.tenant_id, n.id) IS UNIQUE;
